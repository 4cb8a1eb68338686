/* SPDX-License-Identifier: ISC */
#include "filterd/attack/cfb.h"

#include "filterd/attack/bytes.h"

/* [MS-CFB] sections 2.1, 2.2. */
#define HEADER_OCTETS 512U
#define ENTRY_OCTETS 128U
#define SECTOR_LAST 0xfffffffaU		/* above: marks, no sectors */
#define DIFAT_IN_HEADER 109U
#define MINI_CUTOFF 4096U

bool
cfb_is(struct str file)
{
	return bytes_is(file, 0, STR("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"));
}

static uint64_t
place(const struct cfb *cfb, uint32_t sector)
{
	return ((uint64_t)sector + 1) * cfb->sector_octets;
}

static uint32_t
fat_next(struct cfb *cfb, uint32_t sector)
{
	uint32_t per = cfb->sector_octets / 4;
	uint64_t at;

	if (sector / per >= cfb->fat_len) {
		cfb->is_broken = true;
		return UINT32_MAX;
	}
	at = place(cfb, cfb->fat[sector / per]) + (uint64_t)(sector % per) * 4;
	if (!bytes_has(cfb->file, at, 4)) {
		cfb->is_broken = true;
		return UINT32_MAX;
	}
	return bytes_le32(cfb->file, at);
}

static void
add_fat(struct cfb *cfb, uint64_t at, size_t count, size_t max)
{
	size_t i;

	for (i = 0; i < count && cfb->fat_len < max; i++) {
		uint32_t sector = bytes_le32(cfb->file, at + i * 4);

		if (sector < SECTOR_LAST)
			cfb->fat[cfb->fat_len++] = sector;
	}
}

/* The sectors that hold the table: 109 in the header, the rest in a chain.
 * More of them than describe the whole file are not needed. */
static void
read_difat(struct cfb *cfb, size_t max)
{
	uint32_t per = cfb->sector_octets / 4;
	uint32_t sector = bytes_le32(cfb->file, 68);
	size_t steps;

	add_fat(cfb, 76, DIFAT_IN_HEADER, max);
	for (steps = 0; sector < SECTOR_LAST && cfb->fat_len < max &&
	    steps < max; steps++) {
		uint64_t at = place(cfb, sector);

		if (!bytes_has(cfb->file, at, cfb->sector_octets))
			break;
		add_fat(cfb, at, per - 1, max);
		sector = bytes_le32(cfb->file, at + (uint64_t)(per - 1) * 4);
	}
}

bool
cfb_open(struct cfb *cfb, struct str file)
{
	unsigned shift = bytes_le16(file, 30);
	size_t max;

	*cfb = (struct cfb){ .file = file };
	if (!cfb_is(file) || file.len < HEADER_OCTETS ||
	    (shift != 9 && shift != 12))
		return false;
	cfb->sector_octets = 1U << shift;
	max = file.len / cfb->sector_octets / (cfb->sector_octets / 4) + 2;
	cfb->fat = calloc(max, sizeof(*cfb->fat));
	invariant(cfb->fat != NULL);
	read_difat(cfb, max);
	cfb->sector = bytes_le32(file, 48);
	return true;
}

void
cfb_close(struct cfb *cfb)
{
	free(cfb->fat);
	cfb->fat = NULL;
}

static void
read_entry(struct str raw, struct cfb_entry *entry)
{
	size_t len = bytes_le16(raw, 64);
	struct buf name;

	*entry = (struct cfb_entry){ .type = CFB_UNUSED };
	buf_init(&name, CFB_NAME_MAX);
	bytes_put_utf16(&name, bytes_cut(raw, 0,
	    len < 2 ? 0 : len > 64 ? 62 : len - 2));
	memcpy(entry->name, name.p != NULL ? name.p : "", name.len);
	buf_fini(&name);
	entry->type = (enum cfb_type)(unsigned char)raw.p[66];
	entry->clsid = bytes_cut(raw, 80, 16);
	entry->start = bytes_le32(raw, 116);
	entry->octets = bytes_le64(raw, 120);
}

/* The next place in the directory's chain. */
static bool
next_raw(struct cfb *cfb, struct str *raw_r)
{
	if (cfb->in_sector == cfb->sector_octets / ENTRY_OCTETS) {
		cfb->in_sector = 0;
		cfb->sector = fat_next(cfb, cfb->sector);
	}
	if (cfb->sector >= SECTOR_LAST)
		return false;
	*raw_r = bytes_cut(cfb->file, place(cfb, cfb->sector) +
	    (uint64_t)cfb->in_sector++ * ENTRY_OCTETS, ENTRY_OCTETS);
	if (raw_r->len == 0 || cfb->steps++ > CFB_ENTRIES_MAX ||
	    cfb->steps > cfb->file.len / ENTRY_OCTETS) {
		cfb->is_broken = true;
		return false;
	}
	return true;
}

bool
cfb_next(struct cfb *cfb, struct cfb_entry *entry_r)
{
	struct str raw;

	while (next_raw(cfb, &raw)) {
		read_entry(raw, entry_r);
		if (entry_r->type != CFB_UNUSED)
			return true;
	}
	return false;
}

void
cfb_read(struct cfb *cfb, const struct cfb_entry *entry, struct buf *out)
{
	uint64_t left = entry->octets;
	uint32_t sector = entry->start;

	if (entry->octets < MINI_CUTOFF)
		return;
	while (left != 0 && out->len < out->max && sector < SECTOR_LAST) {
		uint64_t at = place(cfb, sector);
		size_t want = out->max - out->len;
		struct str octets;

		if (want > cfb->sector_octets)
			want = cfb->sector_octets;
		if (want > left)
			want = (size_t)left;
		octets = str_sub(bytes_from(cfb->file, at), 0, want);
		buf_add_str(out, octets);
		if (octets.len < want)
			return;
		left -= want;
		sector = fat_next(cfb, sector);
	}
}

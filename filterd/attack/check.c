/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "filterd/attack/check_int.h"

static struct attack *attack;

struct attack *
check_attack(void)
{
	struct err err = ERR_INIT;

	if (attack == NULL) {
		assert_int_equal(attack_begin(&attack, &err), 0);
		assert_true(attack_add_domain(attack, STR("hikyaku.example"), 0));
		attack_add_name(attack, STR("Hikyaku Express"));
		/* 飛脚商事 */
		attack_add_name(attack, STR("\xe9\xa3\x9b\xe8\x84\x9a\xe5\x95"
		    "\x86\xe4\xba\x8b"));
	}
	return attack;
}

int
check_end(void **state)
{
	(void)state;
	attack_end(&attack);
	return 0;
}

void
check_put_traits(struct buf *out, const struct attack_report *report)
{
	unsigned i;

	for (i = 0; i < ATTACK_TRAIT_COUNT; i++)
		if (attack_has(report, (enum attack_trait)i))
			buf_addf(out, "%s%s", out->len != 0 ? " " : "",
			    attack_trait_name((enum attack_trait)i));
}

/* What is found in a file of that name and type, in the order of the
 * vocabulary. */
void
check_file(const char *name, const char *type, const char *subtype,
    struct str octets, const char *want)
{
	struct attack_part part = { .fd = -1, .number = 1,
		.name = str_of(name), .type = str_of(type),
		.subtype = str_of(subtype), .charset = STR("utf-8") };
	struct attack_report report;
	struct attack_look *look = attack_open(check_attack(), &report);
	struct buf got;

	attack_look_at_octets(look, &part, octets);
	attack_close(&look);
	buf_init(&got, 65536);
	check_put_traits(&got, &report);
	if (!str_eq(buf_str(&got), str_of(want)))
		fail_msg("%s: %.*s, not %s", name, STR_FMT(buf_str(&got)),
		    want);
	buf_fini(&got);
}

/* Every beginning, and every octet changed: no crash, no end. */
void
check_shake(const char *name, struct str file)
{
	struct attack_part part = { .fd = -1, .name = str_of(name),
		.type = STR("application"), .subtype = STR("octet-stream"),
		.charset = STR("") };
	struct attack_report report;
	struct attack_look *look;
	struct buf copy;
	size_t i;

	buf_init(&copy, 1U << 20);
	for (i = 0; i < file.len && i < 1200; i++) {
		look = attack_open(check_attack(), &report);
		attack_look_at_octets(look, &part, str_sub(file, 0, i));
		buf_reset(&copy);
		buf_add_str(&copy, file);
		copy.p[copy.start + i] ^= (char)0xff;
		attack_look_at_octets(look, &part, buf_str(&copy));
		attack_close(&look);
		assert_null(look);
	}
	buf_fini(&copy);
}

/* SPDX-License-Identifier: ISC */
/* A verdict from a broken filterd: what is read can be said again, and the
 * fields it becomes are fields. */
#include <stddef.h>
#include <stdint.h>

#include "filter/verdict.h"
#include "mail/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_fields(const struct verdict *verdict)
{
	struct header_iter iter;
	struct header_field field;
	size_t octets = 0;
	unsigned results = 0, scans = 0, suspicious = 0, detonations = 0;
	struct buf out;

	buf_init(&out, 1 << 16);
	verdict_put_fields(verdict, STR("mx.test"), &out);
	verdict_put_detonation(verdict, &out);
	invariant(!buf_failed(&out));
	header_iter_init(&iter, buf_str(&out));
	while (header_next(&iter, &field)) {
		octets += field.raw.len;
		results += str_eq(field.name, STR("Authentication-Results"));
		scans += str_eq(field.name, STR("X-Hikyaku-Scan"));
		suspicious += str_eq(field.name,
		    STR("X-Hikyaku-Suspicious"));
		detonations += str_eq(field.name,
		    STR("X-Hikyaku-Detonation"));
	}
	/* Each at most once, and nothing beside them. */
	invariant(octets == out.len && results <= 1 && scans <= 1 &&
	    suspicious == verdict->is_suspicious &&
	    detonations == verdict->is_detonated &&
	    results + scans + suspicious + detonations == iter.count);
	buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(0);
	struct verdict verdict, again;
	struct buf out;

	if (verdict_decode(str_make(data, size), arena, &verdict, NULL) ==
	    0) {
		check_fields(&verdict);
		buf_init(&out, VERDICT_OCTETS_MAX);
		verdict_encode(&verdict, &out);
		invariant(!buf_failed(&out));
		invariant(verdict_decode(buf_str(&out), arena, &again,
		    NULL) == 0);
		invariant(again.action == verdict.action &&
		    again.code == verdict.code &&
		    again.auth_len == verdict.auth_len &&
		    again.is_scanned == verdict.is_scanned &&
		    again.virus == verdict.virus &&
		    again.is_suspicious == verdict.is_suspicious &&
		    again.traits_len == verdict.traits_len &&
		    again.has_more_traits == verdict.has_more_traits &&
		    again.when_clean == verdict.when_clean &&
		    again.is_detonated == verdict.is_detonated &&
		    again.detonation == verdict.detonation &&
		    again.engines_len == verdict.engines_len &&
		    str_eq(again.text, verdict.text));
		buf_fini(&out);
	}
	arena_free(&arena);
	return 0;
}

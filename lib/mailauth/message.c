/* SPDX-License-Identifier: ISC */
#include "base/table.h"
#include "mailauth/message_int.h"

struct mailauth_message *
mailauth_message_new(void)
{
	struct arena *arena = arena_new(16384);
	struct mailauth_message *message =
	    arena_new_of(arena, struct mailauth_message);

	message->arena = arena;
	message->names = table_new();
	buf_init(&message->header, HEADER_BLOCK_MAX);
	return message;
}

static void
free_hashes(struct body_stream *stream)
{
	size_t i;

	for (i = 0; i < stream->hash_count; i++)
		EVP_MD_CTX_free(stream->hashes[i].md);
}

void
mailauth_message_free(struct mailauth_message **message)
{
	struct mailauth_message *m = *message;
	struct arena *arena;

	if (m == NULL)
		return;
	free_hashes(&m->streams[CANON_SIMPLE]);
	free_hashes(&m->streams[CANON_RELAXED]);
	buf_fini(&m->header);
	table_free(&m->names);
	arena = m->arena;
	arena_free(&arena);
	*message = NULL;
}

/* ---- hashes of the body ---- */

static void
hash_octets(void *ctx, const void *data, size_t len)
{
	struct body_stream *stream = ctx;
	struct body_hash *hash;
	uint64_t left;
	size_t i;

	for (i = 0; i < stream->hash_count; i++) {
		hash = &stream->hashes[i];
		if (stream->octets >= hash->limit)
			continue;
		left = hash->limit - stream->octets;
		invariant(EVP_DigestUpdate(hash->md, data,
		    left < len ? (size_t)left : len) == 1);
	}
	stream->octets += len;
}

static void
want_hash(struct mailauth_message *message, enum canon canon, uint64_t limit)
{
	struct body_stream *stream = &message->streams[canon];
	struct body_hash *hash = &stream->hashes[stream->hash_count];

	if (!stream->is_wanted)
		canon_body_init(&stream->canon, canon, hash_octets, stream);
	stream->is_wanted = true;
	if (message_body_hash(message, canon, limit) != NULL)
		return;
	invariant(stream->hash_count < DKIM_SIGNATURES_MAX + 1);
	stream->hash_count++;
	hash->limit = limit;
	hash->md = EVP_MD_CTX_new();
	invariant(hash->md != NULL &&
	    EVP_DigestInit_ex(hash->md, EVP_sha256(), NULL) == 1);
}

const struct body_hash *
message_body_hash(const struct mailauth_message *message, enum canon canon,
    uint64_t limit)
{
	const struct body_stream *stream = &message->streams[canon];
	size_t i;

	for (i = 0; i < stream->hash_count; i++)
		if (stream->hashes[i].limit == limit)
			return &stream->hashes[i];
	return NULL;
}

void
mailauth_message_want(struct mailauth_message *message, enum canon canon)
{
	invariant(!message->has_body);
	want_hash(message, canon, BODY_WHOLE);
}

/* ---- fields ---- */

static size_t
name_number(struct mailauth_message *message, struct str name)
{
	char *p = arena_alloc(message->arena, name.len + 1);
	struct str key = str_make(p, name.len);
	uintptr_t number;
	size_t i;

	for (i = 0; i < name.len; i++)
		p[i] = ascii_lower(name.p[i]);
	number = (uintptr_t)table_get(message->names, key);
	if (number == 0) {
		number = ++message->name_count;
		(void)table_put(message->names, key, (void *)number);
	}
	return number - 1;
}

static void
index_fields(struct mailauth_message *message, struct str block)
{
	struct message_field *field;
	struct header_iter iter;
	size_t i;

	message->fields = arena_alloc(message->arena,
	    HEADER_FIELDS_MAX * sizeof(*message->fields));
	message->last = arena_alloc(message->arena,
	    HEADER_FIELDS_MAX * sizeof(*message->last));
	for (i = 0; i < HEADER_FIELDS_MAX; i++)
		message->last[i] = SIZE_MAX;
	header_iter_init(&iter, block);
	while (message->field_count < HEADER_FIELDS_MAX) {
		field = &message->fields[message->field_count];
		if (!header_next(&iter, &field->field))
			break;
		field->name = name_number(message, field->field.name);
		field->above = message->last[field->name];
		message->last[field->name] = message->field_count++;
	}
}

static void
take_dkim(struct mailauth_message *message, const struct header_field *field)
{
	struct sig *sig;

	if (message->dkim_seen++ >= DKIM_SIGNATURES_MAX)
		return;
	sig = sig_new(message->arena, field, SIG_DKIM);
	message->dkim[message->dkim_count++] = sig;
	if (sig->result == MAILAUTH_NONE)
		want_hash(message, sig->body_canon, sig->body_limit);
}

static void
take_ams(struct mailauth_message *message, const struct header_field *field)
{
	struct sig *sig = sig_new(message->arena, field, SIG_AMS);

	message->ams[message->ams_count++] = sig;
	if (sig->result == MAILAUTH_NONE)
		want_hash(message, sig->body_canon, BODY_WHOLE);
}

static void
take_field(struct mailauth_message *message, const struct header_field *field)
{
	struct str name = field->name;
	bool is_arc = str_begins_nocase(name, STR("ARC-"));

	if (str_eq_nocase(name, STR("DKIM-Signature")))
		take_dkim(message, field);
	else if (!is_arc)
		return;
	else if (message->ams_count == ARC_FIELDS_MAX ||
	    message->as_count == ARC_FIELDS_MAX ||
	    message->aar_count == ARC_FIELDS_MAX)
		message->has_too_many_arc = true;
	else if (str_eq_nocase(name, STR("ARC-Message-Signature")))
		take_ams(message, field);
	else if (str_eq_nocase(name, STR("ARC-Seal")))
		message->as[message->as_count++] =
		    sig_new(message->arena, field, SIG_AS);
	else if (str_eq_nocase(name, STR("ARC-Authentication-Results")))
		message->aar[message->aar_count++] = field;
}

static void
end_header(struct mailauth_message *message)
{
	size_t i;

	message->has_body = true;
	index_fields(message, buf_str(&message->header));
	for (i = 0; i < message->field_count; i++)
		take_field(message, &message->fields[i].field);
}

/* ---- reading ---- */

static bool
is_empty_line(struct str line)
{
	return str_eq(line, STR("\r\n")) || str_eq(line, STR("\n"));
}

/* Octets of p that belong to the header; has_body when it ends there. */
static size_t
header_len(struct mailauth_message *message, const char *p, size_t len)
{
	size_t held = message->header.len, at = 0;
	struct str line;
	const char *nl;

	while ((nl = memchr(p + at, '\n', len - at)) != NULL) {
		at = (size_t)(nl - p) + 1;
		/* The line may have begun in an earlier piece. */
		if (message->line_at >= held)
			line = str_make(p + (message->line_at - held),
			    held + at - message->line_at);
		else if (held - message->line_at == 1 && at == 1 &&
		    message->header.p[message->header.start + held - 1] ==
		    '\r')
			line = STR("\r\n");
		else
			line = STR_NONE;
		message->line_at = held + at;
		if (is_empty_line(line)) {
			message->has_body = true;
			return at;
		}
	}
	return len;
}

int
mailauth_message_feed(struct mailauth_message *message, const void *data,
    size_t len, struct err *err)
{
	const char *p = data;
	size_t i, n;

	invariant(!message->has_ended);
	if (!message->has_body && len > 0) {
		n = header_len(message, p, len);
		buf_add(&message->header, p, n);
		if (buf_failed(&message->header))
			return err_set(err, ERR_LIMIT, "header over 2 MB");
		if (message->has_body)
			end_header(message);
		p += n;
		len -= n;
	}
	for (i = 0; i < 2 && len > 0; i++)
		if (message->streams[i].is_wanted)
			canon_body_feed(&message->streams[i].canon, p, len);
	return 0;
}

static void
end_stream(struct body_stream *stream)
{
	size_t i;

	if (!stream->is_wanted)
		return;
	canon_body_end(&stream->canon);
	for (i = 0; i < stream->hash_count; i++)
		invariant(EVP_DigestFinal_ex(stream->hashes[i].md,
		    stream->hashes[i].digest, NULL) == 1);
}

void
mailauth_message_end(struct mailauth_message *message)
{
	invariant(!message->has_ended);
	if (!message->has_body)
		end_header(message);
	message->has_ended = true;
	end_stream(&message->streams[CANON_SIMPLE]);
	end_stream(&message->streams[CANON_RELAXED]);
}

struct str
mailauth_message_header(const struct mailauth_message *message)
{
	return buf_str(&message->header);
}

/* ---- picking fields ---- */

void
message_cursor_init(struct message_cursor *cursor,
    const struct mailauth_message *message)
{
	size_t octets = message->name_count * sizeof(*cursor->next);

	cursor->next = malloc(octets + 1);
	invariant(cursor->next != NULL);
	memcpy(cursor->next, message->last, octets);
}

void
message_cursor_fini(struct message_cursor *cursor)
{
	free(cursor->next);
	cursor->next = NULL;
}

const struct header_field *
message_cursor_take(struct message_cursor *cursor,
    const struct mailauth_message *message, struct str name)
{
	char key[128];
	uintptr_t number;
	size_t i, at;

	if (name.len > sizeof(key))
		return NULL;
	for (i = 0; i < name.len; i++)
		key[i] = ascii_lower(name.p[i]);
	number = (uintptr_t)table_get(message->names,
	    str_make(key, name.len));
	if (number == 0)
		return NULL;
	at = cursor->next[number - 1];
	if (at == SIZE_MAX)
		return NULL;
	cursor->next[number - 1] = message->fields[at].above;
	return &message->fields[at].field;
}

/* SPDX-License-Identifier: ISC */
/* frame: fields in and out of a frame, and frames in and out of a socket. */
#include "ipc/ipc_int.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- fields ---- */

uint64_t
frame_load(const char *p, size_t n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | (unsigned char)p[n];
	return v;
}

static void
add_le(struct buf *buf, uint64_t v, size_t n)
{
	char octets[8];
	size_t i;

	for (i = 0; i < n; i++, v >>= 8)
		octets[i] = (char)(v & 255);
	buf_add(buf, octets, n);
}

/* Octets of the field of this type at the start of s; 0: it is not there. */
static size_t
field_len(struct str s, char type)
{
	size_t len;

	if (s.len < 1 || s.p[0] != type)
		return 0;
	if (type == 'b')
		return s.len >= 2 && (s.p[1] == 0 || s.p[1] == 1) ? 2 : 0;
	if (type != 's')
		return s.len >= 9 ? 9 : 0;
	if (s.len < 5)
		return 0;
	len = (size_t)frame_load(s.p + 1, 4);
	return len <= s.len - 5 ? len + 5 : 0;
}

/*
 * Check the fields named up to the end of the signature or a closing
 * parenthesis; *fields becomes what is left. Returns the end, NULL on a
 * mismatch.
 */
static const char *
check_run(const char *sig, struct str *fields)
{
	size_t len;

	while (*sig != '\0' && *sig != '(' && *sig != ')') {
		if (*sig == ' ') {
			sig++;
			continue;
		}
		len = field_len(*fields, *sig);
		if (len == 0)
			return NULL;
		*fields = str_sub(*fields, len, fields->len);
		while (*sig != '\0' && *sig != ' ' && *sig != ')')
			sig++;
	}
	return sig;
}

int
ipc_check_fields(const char *signature, struct str fields)
{
	const char *sig = check_run(signature, &fields);

	if (sig == NULL)
		return ERR_SYNTAX;
	if (*sig == '(')
		while (fields.len != 0)
			if (check_run(sig + 1, &fields) == NULL)
				return ERR_SYNTAX;
	return fields.len == 0 ? 0 : ERR_SYNTAX;
}

static const char *
get_field(struct ipc_in *in, char type, size_t *len_r)
{
	struct str rest = str_sub(in->fields, in->at, in->fields.len);
	size_t len = field_len(rest, type);

	/* The frame follows its signature, so the reader does not. */
	invariant(len != 0);
	in->at += len;
	*len_r = len;
	return rest.p + 1;
}

uint64_t
ipc_get_u64(struct ipc_in *in)
{
	size_t len;

	return frame_load(get_field(in, 'u', &len), 8);
}

int64_t
ipc_get_i64(struct ipc_in *in)
{
	size_t len;

	return (int64_t)frame_load(get_field(in, 'i', &len), 8);
}

bool
ipc_get_bool(struct ipc_in *in)
{
	size_t len;

	return *get_field(in, 'b', &len) != 0;
}

struct str
ipc_get_str(struct ipc_in *in)
{
	size_t len;
	const char *p = get_field(in, 's', &len);

	return str_make(p + 4, len - 5);
}

bool
ipc_more(const struct ipc_in *in)
{
	return in->at < in->fields.len;
}

void
ipc_rewind(struct ipc_in *in)
{
	in->at = 0;
}

int
ipc_take_fd(struct ipc_in *in)
{
	int fd = in->fd;

	in->fd = -1;
	return fd;
}

void
frame_in_fini(struct ipc_in *in)
{
	if (in->fd != -1)
		(void)close(in->fd);
	free(in->heap);
}

void
ipc_in_free(struct ipc_in **in)
{
	if (*in == NULL)
		return;
	frame_in_fini(*in);
	free(*in);
	*in = NULL;
}

struct ipc_out *
frame_begin(struct ipc_out *out, enum wire_kind kind, unsigned type,
    uint32_t id)
{
	out->req = NULL;
	out->type = type;
	out->buf.max = IPC_FRAME_MAX;
	buf_reset(&out->buf);
	add_le(&out->buf, WIRE_VERSION, 1);
	add_le(&out->buf, (uint64_t)kind, 1);
	add_le(&out->buf, type, 2);
	add_le(&out->buf, id, 4);
	return out;
}

void
ipc_put_u64(struct ipc_out *out, uint64_t value)
{
	buf_add_char(&out->buf, 'u');
	add_le(&out->buf, value, 8);
}

void
ipc_put_i64(struct ipc_out *out, int64_t value)
{
	buf_add_char(&out->buf, 'i');
	add_le(&out->buf, (uint64_t)value, 8);
}

void
ipc_put_bool(struct ipc_out *out, bool value)
{
	buf_add_char(&out->buf, 'b');
	add_le(&out->buf, value, 1);
}

void
ipc_put_str(struct ipc_out *out, struct str s)
{
	buf_add_char(&out->buf, 's');
	add_le(&out->buf, s.len, 4);
	buf_add_str(&out->buf, s);
}

size_t
ipc_room(const struct ipc_out *out)
{
	return out->buf.max - out->buf.len;
}

/* ---- the socket ---- */

int
ipc_pair(int fds_r[2], struct err *err)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0, fds_r) == -1)
		return err_set_errno(err, ERR_TEMP, "socketpair");
	return 0;
}

ssize_t
frame_send(int sock, struct str frame, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)frame.p,
	    .iov_len = frame.len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;
	ssize_t n;

	if (fd != -1) {
		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	}
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n == -1 && errno == EINTR);
	return n;
}

/* Take the descriptors of a message: at most one is kept. */
static int
control_fd(struct msghdr *msg, bool *is_bad)
{
	struct cmsghdr *cmsg;
	int kept = -1, fd;
	size_t i, n;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg != NULL;
	    cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET ||
		    cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int),
			    sizeof(int));
			if (kept == -1 && n == 1) {
				kept = fd;
				continue;
			}
			(void)close(fd);
			*is_bad = true;
		}
	}
	return kept;
}

enum received
frame_receive(int sock, char *rx, struct str *frame_r, int *fd_r)
{
	char control[CMSG_SPACE(4 * sizeof(int))];
	struct iovec iov = { .iov_base = rx, .iov_len = IPC_FRAME_MAX };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = control, .msg_controllen = sizeof(control) };
	bool is_bad = false;
	ssize_t n;

	do
		n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n == -1 && errno == EINTR);
	if (n == -1 && errno == EAGAIN)
		return RX_NOTHING;
	if (n <= 0)
		return RX_LOST;
	*fd_r = control_fd(&msg, &is_bad);
	if (is_bad || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
		if (*fd_r != -1)
			(void)close(*fd_r);
		return RX_BAD;
	}
	*frame_r = str_make(rx, (size_t)n);
	return RX_FRAME;
}

/* SPDX-License-Identifier: ISC */
#include "smtpd/queue/notice.h"

#include "base/log.h"
#include "base/rand.h"
#include "base/when.h"
#include "ipc/links.h"
#include "mail/build.h"
#include "smtpd/queue/own.h"

#define TEXT_MAX 16384

struct notice {
	const struct deliver_env *env;
	uint64_t account;
	uint64_t percent;
};

struct fullness {
	unsigned long long percent;
	unsigned long long used_mib;
	unsigned long long quota_mib;
};

static void
put_japanese(struct buf *subject, struct buf *text, const struct fullness *f)
{
	buf_addf(subject, "メールボックスの容量が %llu%% に達しました",
	    f->percent);
	buf_addf(text, "メールボックスの使用量が上限の %llu%% に達しました"
	    "（%llu MB / %llu MB）。\r\n\r\n"
	    "上限に達すると、新しいメールを受信できなくなります。\r\n"
	    "不要なメールを削除し、ごみ箱を空にしてください。\r\n",
	    f->percent, f->used_mib, f->quota_mib);
}

static void
put_english(struct buf *subject, struct buf *text, const struct fullness *f)
{
	buf_addf(subject, "Your mailbox is %llu%% full", f->percent);
	buf_addf(text, "Your mailbox has used %llu%% of its space "
	    "(%llu MB of %llu MB).\r\n\r\n"
	    "When it is full, no more mail can come in. Please delete mail "
	    "that you do not\r\nneed any more, and empty the trash.\r\n",
	    f->percent, f->used_mib, f->quota_mib);
}

void
notice_put_head(struct buf *buf, const struct deliver_env *env,
    struct str address, struct str subject)
{
	struct mail_date now = { .s = when_wall_s() };
	struct str domain = str_sub(address, str_rfind(address, '@') + 1,
	    address.len);
	struct build build;
	char unique[32], from[320];

	build_date(buf, now);
	(void)snprintf(unique, sizeof(unique), "%016llx",
	    (unsigned long long)rand_u64());
	build_message_id(buf, str_of(unique), env->hostname);
	(void)snprintf(from, sizeof(from), "postmaster@%.*s",
	    STR_FMT(domain));
	build_begin(&build, buf, "From");
	build_mailbox(&build, STR("Mail System"), str_of(from));
	build_end(&build);
	build_begin(&build, buf, "To");
	build_mailbox(&build, STR(""), address);
	build_end(&build);
	build_text(buf, "Subject", subject);
	buf_add_cstr(buf, "Auto-Submitted: auto-generated\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n\r\n");
}

static void
on_queued(void *ctx, uint64_t id, const char *failure)
{
	struct notice *notice = ctx;
	struct ipc_out *out;

	if (failure != NULL) {
		ev_warn(NULL, "queue.notice.later",
		    EV_U64(account, notice->account),
		    EV_CSTR(reason, failure));
	} else {
		ev_info(NULL, "queue.notice.quota", EV_U64(queue_id, id),
		    EV_U64(account, notice->account),
		    EV_U64(count, notice->percent));
		out = ipc_begin(notice->env->directory, DIR_WARNED);
		ipc_put_u64(out, notice->account);
		ipc_put_u64(out, notice->percent);
		(void)ipc_send(out, -1);
	}
	free(notice);
}

void
notice_quota(const struct deliver_env *env, struct ipc_in *in)
{
	struct notice *notice = calloc(1, sizeof(*notice));
	struct own_mail mail = { .flags = QUEUE_F_8BIT, .done = on_queued,
	    .ctx = notice };
	struct buf subject, text;
	struct fullness fullness;
	struct str language;

	invariant(notice != NULL);
	notice->env = env;
	notice->account = ipc_get_u64(in);
	mail.to = ipc_get_str(in);
	language = ipc_get_str(in);
	fullness.percent = notice->percent = ipc_get_u64(in);
	fullness.used_mib = ipc_get_u64(in) >> 20;
	fullness.quota_mib = ipc_get_u64(in) >> 20;
	buf_init(&subject, 256);
	buf_init(&text, TEXT_MAX);
	if (str_begins(language, STR("ja")))
		put_japanese(&subject, &text, &fullness);
	else
		put_english(&subject, &text, &fullness);
	buf_init(&mail.text, 2 * TEXT_MAX);
	notice_put_head(&mail.text, env, mail.to, buf_str(&subject));
	buf_add_str(&mail.text, buf_str(&text));
	buf_fini(&subject);
	buf_fini(&text);
	own_submit(env, &mail);
}

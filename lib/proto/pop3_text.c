/* SPDX-License-Identifier: ISC */
/* pop3_text: what a POP3 client's user may read, in his language. */
#include "proto/pop3.h"

static const char *const tags[POP3_LANGS] = {
	[POP3_EN] = "en", [POP3_JA] = "ja",
};

static const char *const names[POP3_LANGS] = {
	[POP3_EN] = "English", [POP3_JA] = "日本語",
};

static const struct {
	const char *english;
	const char *japanese;
} texts[] = {
	{ "bye", "終了します" },
	{ "deleted", "削除しました" },
	{ "still here", "接続中です" },
	{ "password, please", "パスワードを入力してください" },
	{ "begin TLS", "TLS を開始します" },
	{ "no such message", "そのメッセージはありません" },
	{ "the message cannot be read", "メッセージを読み込めません" },
	{ "deleted messages not removed",
	    "削除したメッセージを消去できませんでした" },
	{ "too many errors", "エラーが多すぎます" },
	{ "line too long", "行が長すぎます" },
	{ "wrong user name or password",
	    "ユーザー名またはパスワードが違います" },
	{ "try again later", "しばらくしてからもう一度お試しください" },
	{ "malformed exchange", "認証の手順が正しくありません" },
	{ "no such mechanism", "その認証方式は使えません" },
	{ "cancelled", "取り消されました" },
	{ "not base64", "base64 ではありません" },
	{ "too many sessions of this account",
	    "このアカウントの接続が多すぎます" },
	{ "the maildrop is in use by another session",
	    "メールボックスは別の接続で使用中です" },
	{ "the last login was a moment ago",
	    "前回のログインから間もないため受け付けられません" },
	{ "idle for too long", "操作がないため切断します" },
	{ "log in sooner", "ログインに時間がかかりすぎました" },
	{ "too many connections", "接続が多すぎます" },
	{ "only inside TLS", "TLS で接続してください" },
	{ "TLS is not offered", "TLS は使えません" },
	{ "USER comes first", "先に USER を送ってください" },
	{ "not offered, or not after the login",
	    "その命令は使えないか、ログイン後には使えません" },
	{ "not offered, or not before the login",
	    "その命令は使えないか、ログイン前には使えません" },
	{ "this server is stopping", "サーバーを停止しています" },
	{ "UTF-8 from now on", "以後 UTF-8 を使います" },
	{ "no such language", "その言語は使えません" },
};

enum pop3_lang
pop3_lang_of(struct str tag)
{
	struct str rest, primary = str_cut(tag, '-', &rest);
	int i;

	if (str_eq(tag, STR("*")) || str_eq_nocase(tag, STR("i-default")))
		return POP3_EN;
	for (i = 0; i < POP3_LANGS; i++)
		if (str_eq_nocase(primary, str_of(tags[i])))
			return (enum pop3_lang)i;
	return POP3_LANGS;
}

const char *
pop3_lang_tag(enum pop3_lang lang)
{
	return tags[lang];
}

void
pop3_put_langs(struct buf *out, enum pop3_lang lang)
{
	int i;

	buf_add_cstr(out, lang == POP3_JA ? "+OK 使える言語\r\n" :
	    "+OK languages\r\n");
	for (i = 0; i < POP3_LANGS; i++)
		buf_addf(out, "%s %s\r\n", tags[i], names[i]);
	buf_add_cstr(out, ".\r\n");
}

const char *
pop3_text(enum pop3_lang lang, const char *text)
{
	size_t i;

	if (lang != POP3_JA)
		return text;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcmp(text, texts[i].english) == 0)
			return texts[i].japanese;
	return text;
}

void
pop3_put_hello(struct buf *out, enum pop3_lang lang)
{
	buf_addf(out, "\x01%s\r\n", tags[lang]);
}

bool
pop3_take_hello(struct str line, enum pop3_lang *lang_r)
{
	enum pop3_lang lang;

	if (line.len < 2 || line.p[0] != '\x01')
		return false;
	lang = pop3_lang_of(str_sub(line, 1, line.len));
	if (lang == POP3_LANGS)
		return false;
	*lang_r = lang;
	return true;
}

/* SPDX-License-Identifier: ISC */
#include "smtpd/ingress/limits.h"

#include "base/table.h"
#include "base/when.h"

#define HOUR_MS 3600000ULL
#define DAY_MS 86400000ULL

/* What is counted begins anew when its period is over. */
struct window {
	uint64_t began_ms;
	uint64_t count;
};

struct sender {
	struct window messages;
	struct window recipients;
};

struct limits {
	struct table *senders;
	uint64_t messages_hour;
	uint64_t recipients_day;
};

struct limits *
limits_new(uint64_t messages_hour, uint64_t recipients_day)
{
	struct limits *limits = calloc(1, sizeof(*limits));

	invariant(limits != NULL);
	limits->senders = table_new();
	limits_set(limits, messages_hour, recipients_day);
	return limits;
}

void
limits_free(struct limits **limits)
{
	struct sender *sender;
	size_t cursor = 0;

	if (*limits == NULL)
		return;
	while ((sender = table_next((*limits)->senders, &cursor, NULL)) !=
	    NULL)
		free(sender);
	table_free(&(*limits)->senders);
	free(*limits);
	*limits = NULL;
}

void
limits_set(struct limits *limits, uint64_t messages_hour,
    uint64_t recipients_day)
{
	limits->messages_hour = messages_hour;
	limits->recipients_day = recipients_day;
}

static void
sweep(struct limits *limits)
{
	uint64_t now = when_mono_ms();
	struct sender *sender;
	size_t cursor = 0;
	struct str key;

	while ((sender = table_next(limits->senders, &cursor, &key)) != NULL)
		if (now - sender->recipients.began_ms >= DAY_MS &&
		    now - sender->messages.began_ms >= HOUR_MS) {
			(void)table_del(limits->senders, key);
			free(sender);
		}
}

/* NULL: there is no room to count one more. */
static struct sender *
sender_of(struct limits *limits, uint64_t account)
{
	struct sender *sender = table_get_u64(limits->senders, account);

	if (sender != NULL)
		return sender;
	if (table_count(limits->senders) >= LIMITS_ACCOUNTS_MAX)
		sweep(limits);
	if (table_count(limits->senders) >= LIMITS_ACCOUNTS_MAX)
		return NULL;
	sender = calloc(1, sizeof(*sender));
	invariant(sender != NULL);
	(void)table_put_u64(limits->senders, account, sender);
	return sender;
}

static bool
count(struct window *window, uint64_t period_ms, uint64_t max)
{
	uint64_t now = when_mono_ms();

	if (window->count == 0 || now - window->began_ms >= period_ms) {
		window->began_ms = now;
		window->count = 0;
	}
	if (max != 0 && window->count >= max)
		return false;
	window->count++;
	return true;
}

bool
limits_message(struct limits *limits, uint64_t account)
{
	struct sender *sender = sender_of(limits, account);

	return sender != NULL && count(&sender->messages, HOUR_MS,
	    limits->messages_hour);
}

bool
limits_recipient(struct limits *limits, uint64_t account)
{
	struct sender *sender = sender_of(limits, account);

	return sender != NULL && count(&sender->recipients, DAY_MS,
	    limits->recipients_day);
}

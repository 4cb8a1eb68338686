/* SPDX-License-Identifier: ISC */
/*
 * list: intrusive doubly linked lists. A node is a member of the thing listed,
 * so membership costs no allocation; an unlinked node points to itself.
 *
 * Ownership.  None: the list never frees what it lists.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next;
	struct list *prev;
};

static inline void
list_init(struct list *list)
{
	list->next = list;
	list->prev = list;
}

static inline bool
list_is_empty(const struct list *list)
{
	return list->next == list;
}

/* Append node, which must be unlinked. */
static inline void
list_add(struct list *list, struct list *node)
{
	node->prev = list->prev;
	node->next = list;
	list->prev->next = node;
	list->prev = node;
}

/* Put node first. */
static inline void
list_push(struct list *list, struct list *node)
{
	list_add(list->next, node);
}

/* Unlink node; harmless when it is unlinked already. */
static inline void
list_del(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#define list_entry(node, type, member) \
	((type *)(void *)((char *)(node) - offsetof(type, member)))

#define list_first(list, type, member) \
	(list_is_empty(list) ? NULL : list_entry((list)->next, type, member))

/* Walk; the current node may be unlinked or freed in the body. */
#define list_each(var, tmp, list, type, member)				\
	for ((var) = list_entry((list)->next, type, member),		\
	    (tmp) = list_entry((var)->member.next, type, member);	\
	    &(var)->member != (list);					\
	    (var) = (tmp),						\
	    (tmp) = list_entry((var)->member.next, type, member))

#endif

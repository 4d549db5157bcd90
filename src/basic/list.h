/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A doubly linked list whose links lie in the members: a member is removed in constant time, and knows
 * whether it is in a list. The list owns nothing. */

#include "macro.h"

typedef struct ListLink {
        struct ListLink *next, *prev;
} ListLink;

typedef struct List {
        ListLink root; /* circular; root.next is the first */
        size_t n_members;
} List;

static inline void list_init(List *list)
{
        list->root.next = list->root.prev = &list->root;
        list->n_members = 0;
}

static inline bool list_link_is_in(const ListLink *link)
{
        return link->next != NULL;
}

static inline void list_append(List *list, ListLink *link)
{
        assert(!list_link_is_in(link));
        link->prev = list->root.prev;
        link->next = &list->root;
        link->prev->next = link->next->prev = link;
        list->n_members++;
}

/* Does nothing where the link is in no list. It must be in this one otherwise. */
static inline void list_remove(List *list, ListLink *link)
{
        if (!list_link_is_in(link))
                return;
        link->prev->next = link->next;
        link->next->prev = link->prev;
        link->next = link->prev = NULL;
        list->n_members--;
}

static inline bool list_is_empty(const List *list)
{
        return list->n_members == 0;
}

/* The first member's link, or NULL. */
static inline ListLink *list_first(const List *list)
{
        return list_is_empty(list) ? NULL : list->root.next;
}

/* Iterates; the current member may be removed in the body. There are two loops: `break` is no way out,
 * `return` is. `i` is a `type *` declared by the macro. */
#define LIST_FOREACH(type, i, list, member)                                                                 \
        for (ListLink *i##_link = (list)->root.next, *i##_next = i##_link->next; i##_link != &(list)->root; \
             i##_link = i##_next, i##_next = i##_link->next)                                                \
                for (type *i = CONTAINER_OF(i##_link, type, member); i; i = NULL)

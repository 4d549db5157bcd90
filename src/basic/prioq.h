/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A priority queue (binary heap) of borrowed members that know their place: adding, removing and moving one
 * costs O(log n), whichever it is. Made for deadlines. */

#include "macro.h"

typedef struct PrioqLink {
        uint64_t priority; /* the smallest is first */
        size_t place;      /* 1 is the top; 0: in no queue */
} PrioqLink;

typedef struct Prioq {
        PrioqLink **heap; /* owned; the links are not */
        size_t n_members, n_allocated;
} Prioq;

void prioq_done(Prioq *queue);
/* Adds a link that is in no queue, or moves it to a new priority. -ENOMEM (then it is where it was). */
int prioq_put(Prioq *queue, PrioqLink *link, uint64_t priority) _warn_unused_;
/* Does nothing where the link is in no queue. */
void prioq_remove(Prioq *queue, PrioqLink *link);
/* The link with the smallest priority, or NULL. */
PrioqLink *prioq_first(const Prioq *queue);

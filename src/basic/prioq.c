/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A binary heap whose members carry their place. */

#include "prioq.h"

#include <errno.h>

void prioq_done(Prioq *queue)
{
        free(queue->heap);
        *queue = (Prioq){};
}

static void place(Prioq *queue, size_t at, PrioqLink *link)
{
        queue->heap[at - 1] = link;
        link->place = at;
}

static void sift_up(Prioq *queue, size_t at, PrioqLink *link)
{
        for (; at > 1 && queue->heap[at / 2 - 1]->priority > link->priority; at /= 2)
                place(queue, at, queue->heap[at / 2 - 1]);
        place(queue, at, link);
}

static void sift_down(Prioq *queue, size_t at, PrioqLink *link)
{
        for (;;) {
                size_t child = 2 * at;

                if (child + 1 <= queue->n_members &&
                    queue->heap[child]->priority < queue->heap[child - 1]->priority)
                        child++;
                if (child > queue->n_members || queue->heap[child - 1]->priority >= link->priority)
                        break;
                place(queue, at, queue->heap[child - 1]);
                at = child;
        }
        place(queue, at, link);
}

static int make_room(Prioq *queue)
{
        size_t wanted = MAX(queue->n_allocated * 2, 16U);
        PrioqLink **grown;

        if (queue->n_members < queue->n_allocated)
                return 0;
        grown = reallocarray(queue->heap, wanted, sizeof(PrioqLink *));
        if (!grown)
                return -ENOMEM;
        queue->heap = grown;
        queue->n_allocated = wanted;
        return 0;
}

int prioq_put(Prioq *queue, PrioqLink *link, uint64_t priority)
{
        int r;

        if (link->place == 0) {
                r = make_room(queue);
                if (r < 0)
                        return r;
        } else
                prioq_remove(queue, link);
        link->priority = priority;
        sift_up(queue, ++queue->n_members, link);
        return 0;
}

void prioq_remove(Prioq *queue, PrioqLink *link)
{
        size_t at = link->place;
        PrioqLink *last;

        if (at == 0)
                return;
        last = queue->heap[--queue->n_members];
        link->place = 0;
        if (last == link)
                return;
        if (at > 1 && queue->heap[at / 2 - 1]->priority > last->priority)
                sift_up(queue, at, last);
        else
                sift_down(queue, at, last);
}

PrioqLink *prioq_first(const Prioq *queue)
{
        return queue->n_members > 0 ? queue->heap[0] : NULL;
}

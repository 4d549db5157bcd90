/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Jobs that wait. At a place those of one principal stand in a line, oldest first, and the lines take turns:
 * who sends a thousand jobs at once holds up nobody but itself. */

#include "router-private.h"

#include <errno.h>

typedef struct LineKey {
        const Place *place;
        const Principal *principal;
} LineKey;

static Line *line_find(const Router *router, const Place *place, const Principal *principal)
{
        const LineKey key = { place, principal };

        return hashmap_get(router->lines, &key, sizeof(key));
}

/* It is there while somebody stands in it. */
static Line *line_get(Router *router, Place *place, const Principal *principal)
{
        const LineKey key = { place, principal };
        Line *line = line_find(router, place, principal);

        if (line)
                return line;
        line = calloc(1, sizeof(Line));
        if (!line)
                return NULL;
        *line = (Line){ .place = place, .principal = principal };
        list_init(&line->jobs);
        if (hashmap_put(router->lines, &key, sizeof(key), line) < 0) {
                free(line);
                return NULL;
        }
        list_append(&place->lines, &line->link);
        return line;
}

static void line_free(Router *router, Line *line)
{
        const LineKey key = { line->place, line->principal };

        (void) hashmap_remove(router->lines, &key, sizeof(key));
        list_remove(&line->place->lines, &line->link);
        free(line);
}

static int enter(Router *router, RouterJob *job, Place *place, Stand *stand)
{
        Line *line = line_get(router, place, job->ask->principal);

        if (!line)
                return -ENOMEM;
        *stand = (Stand){ .job = job, .line = line };
        list_append(&line->jobs, &stand->link);
        place->n_waiting++;
        return 0;
}

static void leave(Router *router, Stand *stand, bool is_served)
{
        Line *line = stand->line;

        if (!line)
                return;
        list_remove(&line->jobs, &stand->link);
        line->place->n_waiting--;
        stand->line = NULL;
        if (list_is_empty(&line->jobs))
                line_free(router, line);
        else if (is_served) {
                list_remove(&line->place->lines, &line->link);
                list_append(&line->place->lines, &line->link);
        }
}

int queue_enter(Router *router, RouterJob *job)
{
        int r = enter(router, job, job->track, &job->in_track);

        return r < 0 ? r : enter(router, job, job->channel, &job->in_channel);
}

void queue_leave(Router *router, RouterJob *job, bool is_served)
{
        leave(router, &job->in_track, is_served);
        leave(router, &job->in_channel, is_served);
}

bool queue_has_room(const Router *router, const RouterJob *job)
{
        size_t length = store_config(router->store)->queue_length, share = length - length / QUEUE_RESERVED;
        const Line *line = line_find(router, job->track, job->ask->principal);

        return job->track->n_waiting < length && (!line || line->jobs.n_members < share);
}

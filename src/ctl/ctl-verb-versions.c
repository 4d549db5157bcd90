/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pipelinectl versions: a row a version, with what the online workers have of it. */

#include "ctl-ask.h"
#include "ctl-table.h"
#include "ctl-verbs.h"
#include "ctl-workers.h"

#include "basic/string-util.h"

#include <errno.h>

typedef struct Standing {
        size_t n_workers, n_held;
        const char *other; /* the state of one that does not hold it, or NULL */
        const char *error; /* of one that failed */
} Standing;

static Standing standing_of(json_object *workers, const char *channel, const char *track,
                            const char *version)
{
        Standing standing = {};

        for (size_t i = 0;
             json_object_is_type(workers, json_type_array) && i < json_object_array_length(workers); i++) {
                CtlWorker worker = ctl_worker(json_object_array_get_idx(workers, i));
                const char *error, *state;

                if (!worker.is_online || !ctl_worker_serves(&worker, channel, track))
                        continue;
                state = ctl_worker_state(&worker, track, version, &error);
                standing.n_workers++;
                if (state && streq(state, "held"))
                        standing.n_held++;
                else
                        standing.other = state ?: "told";
                standing.error = error ?: standing.error;
        }
        return standing;
}

static int add_version(CtlTable *table, json_object *workers, const char *channel, const char *track,
                       const char *version)
{
        Standing standing = standing_of(workers, channel, track, version);
        _cleanup_free_ char *held = string_format("%zu of %zu", standing.n_held, standing.n_workers);

        if (!held)
                return -ENOMEM;
        return ctl_table_add(
                table, (const char *[]){ channel, track, version, held, standing.error ?: standing.other });
}

static int add_versions(CtlTable *table, json_object *versions, json_object *workers)
{
        int r = 0;

        json_object_object_foreach(versions, channel, tracks)
        {
                if (!json_object_is_type(tracks, json_type_object))
                        continue;
                json_object_object_foreach(tracks, track, list)
                {
                        for (size_t i = 0; json_object_is_type(list, json_type_array) &&
                                           i < json_object_array_length(list) && r >= 0;
                             i++)
                                r = add_version(table, workers, channel, track,
                                                json_object_get_string(json_object_array_get_idx(list, i))
                                                        ?: "-");
                }
        }
        return r;
}

static int run_versions(Ctl *ctl, const CtlVerb *verb, int argc, char **argv)
{
        _cleanup_(client_reply_done) ClientReply config = {}, workers = {};
        _cleanup_(ctl_table_done) CtlTable table = { .n_columns = 5 };
        json_object *versions;
        int r;

        r = ctl_parse(ctl, verb, argc, argv, NULL, 0, &argc);
        if (r == 0)
                r = ctl_ask_shown(ctl, verb, ctl_request("current_config"), &config);
        if (r != 0 || ctl->json)
                return r;
        r = ctl_ask_ok(ctl, verb, ctl_request("describe_workers"), CTL_ASK_TIMEOUT_USEC, &workers);
        if (r != 0)
                return r;
        versions = json_object_object_get(ctl_response(&config), "container_versions");
        r = ctl_table_add(&table, (const char *[]){ "CHANNEL", "TRACK", "VERSION", "HELD BY", "OTHERS" });
        if (r >= 0 && json_object_is_type(versions, json_type_object))
                r = add_versions(&table, versions,
                                 json_object_object_get(ctl_response(&workers), "workers_info"));
        if (r < 0)
                return r;
        ctl_table_print(ctl, &table);
        return CTL_OK;
}

const CtlVerb ctl_verb_versions = {
        .name = "versions",
        .arguments = "",
        .summary = "Which versions are deployed, and which workers hold them",
        .run = run_versions,
};

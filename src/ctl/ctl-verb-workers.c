/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pipelinectl workers: a row a worker. */

#include "ctl-ask.h"
#include "ctl-table.h"
#include "ctl-verbs.h"
#include "ctl-workers.h"

#include "basic/string-util.h"

#include <errno.h>
#include <inttypes.h>

/* Adds a word behind a blank. */
static int add_word(char **text, const char *word)
{
        char *longer = string_format("%s%s%s", *text ?: "", *text ? " " : "", word);

        if (!longer)
                return -ENOMEM;
        free(*text);
        *text = longer;
        return 0;
}

static int words_of_array(json_object *array, char **text)
{
        int r = 0;

        for (size_t i = 0; array && i < json_object_array_length(array) && r >= 0; i++)
                r = add_word(text, json_object_get_string(json_object_array_get_idx(array, i)) ?: "-");
        return r;
}

/* TRACK/VERSION of {track: {version: …}}, and the state where there is one. */
static int words_of_versions(json_object *tracks, char **text)
{
        int r = 0;

        if (!tracks)
                return 0;
        json_object_object_foreach(tracks, track, versions)
        {
                if (!json_object_is_type(versions, json_type_object))
                        continue;
                json_object_object_foreach(versions, version, told)
                {
                        const char *state = json_text(told, "state");
                        _cleanup_free_ char *word =
                                string_format("%s/%s%s%s", track, version, state ? ":" : "", state ?: "");

                        r = word && r >= 0 ? add_word(text, word) : -ENOMEM;
                }
        }
        return r;
}

static int add_worker(CtlTable *table, json_object *info)
{
        CtlWorker worker = ctl_worker(info);
        _cleanup_free_ char *topics = NULL, *versions = NULL;
        _cleanup_free_ char *busy = string_format("%" PRIu64 " of %" PRIu64, worker.running, worker.slots);
        int r;

        r = busy ? words_of_array(worker.topics, &topics) : -ENOMEM;
        if (r >= 0)
                r = words_of_versions(worker.held, &versions);
        if (r >= 0)
                r = words_of_versions(worker.installing, &versions);
        if (r < 0)
                return r;
        return ctl_table_add(table,
                             (const char *[]){ worker.name, worker.channel, topics ?: "any",
                                               worker.is_online ? "online" : "away", busy, versions });
}

static int run_workers(Ctl *ctl, const CtlVerb *verb, int argc, char **argv)
{
        _cleanup_(client_reply_done) ClientReply reply = {};
        _cleanup_(ctl_table_done) CtlTable table = { .n_columns = 6 };
        json_object *workers;
        int r;

        r = ctl_parse(ctl, verb, argc, argv, NULL, 0, &argc);
        if (r == 0)
                r = ctl_ask_shown(ctl, verb, ctl_request("describe_workers"), &reply);
        if (r != 0 || ctl->json)
                return r;
        r = ctl_table_add(&table,
                          (const char *[]){ "WORKER", "CHANNEL", "TRACKS", "STATE", "BUSY", "VERSIONS" });
        workers = json_object_object_get(ctl_response(&reply), "workers_info");
        for (size_t i = 0; json_object_is_type(workers, json_type_array) &&
                           i < json_object_array_length(workers) && r >= 0;
             i++)
                r = add_worker(&table, json_object_array_get_idx(workers, i));
        if (r < 0)
                return r;
        ctl_table_print(ctl, &table);
        return CTL_OK;
}

const CtlVerb ctl_verb_workers = {
        .name = "workers",
        .arguments = "",
        .summary = "Who works, on what, and how busy it is",
        .run = run_workers,
};

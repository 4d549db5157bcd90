/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the router says of its workers; a member that is missing or of another kind is as if
 * it said nothing. */

#include "ctl-workers.h"

#include "basic/string-util.h"
#include "proto/json-fields.h"

static json_object *member(json_object *object, const char *name, json_type type)
{
        json_object *value = json_object_object_get(object, name);

        return json_object_is_type(value, type) ? value : NULL;
}

CtlWorker ctl_worker(json_object *info)
{
        return (CtlWorker){
                .name = json_text(info, "name") ?: "-",
                .channel = json_text(info, "channel") ?: "-",
                .topics = member(info, "topics", json_type_array),
                .is_online = json_object_get_boolean(json_object_object_get(info, "online")),
                .slots = json_object_get_uint64(json_object_object_get(info, "slots")),
                .running = json_object_get_uint64(json_object_object_get(info, "running")),
                .held = member(info, "held", json_type_object),
                .installing = member(info, "installing", json_type_object),
        };
}

bool ctl_worker_serves(const CtlWorker *worker, const char *channel, const char *track)
{
        size_t n = worker->topics ? json_object_array_length(worker->topics) : 0;

        if (!streq(worker->channel, channel))
                return false;
        for (size_t i = 0; i < n; i++) {
                const char *topic = json_object_get_string(json_object_array_get_idx(worker->topics, i));

                if (topic && streq(topic, track))
                        return true;
        }
        return n == 0;
}

const char *ctl_worker_state(const CtlWorker *worker, const char *track, const char *version,
                             const char **ret_error)
{
        json_object *install =
                json_object_object_get(json_object_object_get(worker->installing, track), version);

        *ret_error = NULL;
        if (json_text(json_object_object_get(worker->held, track), version))
                return "held";
        if (!install)
                return NULL;
        *ret_error = json_text(install, "error");
        return json_text(install, "state");
}

int ctl_worker_percent(const CtlWorker *worker, const char *track, const char *version)
{
        json_object *install =
                json_object_object_get(json_object_object_get(worker->installing, track), version);
        uint64_t done = json_object_get_uint64(json_object_object_get(install, "done_bytes")),
                 total = json_object_get_uint64(json_object_object_get(install, "total_bytes"));

        return total == 0 ? -1 : (int) ((double) MIN(done, total) * 100 / (double) total);
}

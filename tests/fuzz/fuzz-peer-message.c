/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whatever a worker or a router sends: what is taken can be written, and read again. The first byte chooses
 * the type, the rest is the body, up to a NUL byte, and parts. */

#include "fuzz.h"

#include "proto/peer-message.h"

#include "proto/plan.h"

#include <string.h>

#define ROUND(type, name)                                                       \
        static void round_##name(json_object *body)                             \
        {                                                                       \
                _cleanup_free_ char *error = NULL;                              \
                _cleanup_json_ json_object *written = NULL;                     \
                type value = {}, again = {};                                    \
                int r = name##_from_json(body, &value, &error);                 \
                                                                                \
                if (r < 0 || (r == JSON_BAD && !error))                         \
                        abort();                                                \
                if (r != 0)                                                     \
                        return;                                                 \
                written = name##_to_json(&value);                               \
                if (!written || name##_from_json(written, &again, &error) != 0) \
                        abort();                                                \
                name##_done(&again);                                            \
                name##_done(&value);                                            \
        }

ROUND(Hello, hello)
ROUND(Configure, configure)
ROUND(Configured, configured)
ROUND(Job, job)
ROUND(JobRef, job_ref)
ROUND(Outcome, outcome)
ROUND(Query, query)
ROUND(Answer, answer)
ROUND(Notice, notice)
ROUND(Progress, progress)
ROUND(Plan, plan)

static void round_heartbeat(json_object *body)
{
        _cleanup_free_ char *error = NULL;
        Heartbeat heartbeat;

        if (heartbeat_from_json(body, &heartbeat, &error) < 0)
                abort();
}

static void (*const rounds[])(json_object *body) = {
        [PEER_HELLO] = round_hello,           [PEER_CONFIGURE] = round_configure,
        [PEER_CONFIGURED] = round_configured, [PEER_JOB] = round_job,
        [PEER_CANCEL] = round_job_ref,        [PEER_OUTCOME] = round_outcome,
        [PEER_OUTCOME_ACK] = round_plan,      [PEER_RESOLVE] = round_query,
        [PEER_RESOLVED] = round_answer,       [PEER_LIST] = round_query,
        [PEER_LISTED] = round_answer,         [PEER_HEARTBEAT] = round_heartbeat,
        [PEER_GOODBYE] = round_notice,        [PEER_REFUSED] = round_notice,
        [PEER_PROGRESS] = round_progress,
};
_Static_assert(ARRAY_SIZE(rounds) == _PEER_TYPE_MAX, "a type is not tried");

/* The frames behind the type. */
static size_t cut(const uint8_t *data, size_t size, Bytes *frames, size_t n_max)
{
        size_t n = 0;

        for (; n < n_max; n++) {
                const uint8_t *end = memchr(data, '\0', size);

                frames[n] = (Bytes){ data, end ? (size_t) (end - data) : size };
                if (!end)
                        return n + 1;
                size -= (size_t) (end - data) + 1;
                data = end + 1;
        }
        return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(peer_message_done) PeerMessage message = {};
        _cleanup_free_ char *error = NULL;
        Bytes frames[PEER_N_FRAMES_MAX + 1] = { { PEER_MAGIC, strlen(PEER_MAGIC) } };
        const char *type;
        size_t n;
        int r;

        if (size == 0)
                return 0;
        type = peer_type_to_string((PeerType) (data[0] % _PEER_TYPE_MAX));
        frames[1] = (Bytes){ type, strlen(type) };
        n = cut(data + 1, size - 1, frames + 2, PEER_N_FRAMES_MAX - 1);
        r = peer_message_parse(frames, n + 2, &message, &error);
        if (r < 0 || (r == JSON_BAD && !error) || r == PEER_UNKNOWN)
                abort();
        if (r == 0)
                rounds[message.type](message.body);
        return 0;
}

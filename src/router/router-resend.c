/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests that are sent again (`resend`). Their key says who asks for what; by it they find the job that
 * runs, the answer that is kept, or, after a restart of the router, the job that a worker says it runs and
 * the outcome that it kept. A worker's word counts only for jobs that it could have been given. */

#include "router-private.h"

#include "basic/string-util.h"
#include "shared/hash.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int resend_key(const Ask *ask, char *ret)
{
        _cleanup_free_ char *canonical = request_canonical(&ask->request), *text = NULL;
        char digest[DIGEST_SIZE + 1];
        int r;

        if (!canonical)
                return -ENOMEM;
        text = string_format("%s\n%s\n%s\n%s\n%s", ask->principal->name,
                             channel_to_string(ask->request.channel), action_to_string(ask->request.action),
                             ask->request.id ?: "", canonical);
        r = text ? hash_bytes(text, strlen(text), digest) : -ENOMEM;
        if (r == 0)
                (void) strcpy(ret, digest_hex(digest));
        return r;
}

/* Kept answers */

Kept *kept_free(Router *router, Kept *kept)
{
        if (hashmap_get_str(router->kept, kept->key) == kept)
                (void) hashmap_remove_str(router->kept, kept->key);
        list_remove(&router->kept_order, &kept->link);
        router->kept_size -= kept->size;
        strv_free(kept->topics);
        free(kept->error);
        for (size_t i = 0; i < PEER_N_PARTS_MAX; i++)
                buffer_done(&kept->parts[i]);
        free(kept);
        return NULL;
}

static int kept_fill(Kept *kept, const Parts *parts, const Worker *claimant)
{
        const Bytes bytes[PEER_N_PARTS_MAX] = { parts->response, parts->context, parts->error_detail };
        int r = 0;

        kept->is_claimed = claimant != NULL;
        kept->channel = claimant ? claimant->hello.channel : _CHANNEL_INVALID;
        for (char **topic = claimant ? claimant->hello.topics : NULL; topic && *topic && r == 0; topic++)
                r = strv_extend(&kept->topics, *topic);
        for (size_t i = 0; i < PEER_N_PARTS_MAX && r == 0; i++)
                r = buffer_append(&kept->parts[i], bytes[i].data, bytes[i].size, PEER_PART_SIZE_MAX);
        if (r == 0 && parts->error) {
                kept->error = strdup(parts->error);
                r = kept->error ? 0 : -ENOMEM;
        }
        return r;
}

/* Whether the same request would get the same answer: it ran, or was cancelled. What is a matter of the
 * moment (no worker, a fault of one, an input that could not be fetched) is tried anew instead. */
static bool answer_stands(StatusCode code)
{
        return code == STATUS_OK || code == STATUS_TIMED_OUT || code == STATUS_EXCESSIVE_OUTPUT ||
               code == STATUS_TERMINATED || code == STATUS_ANALYZER_FAILED || code == STATUS_BAD_RESULT;
}

int kept_put(Router *router, const char *key, const Parts *parts, const Worker *claimant)
{
        size_t size = sizeof(Kept) + parts->response.size + parts->context.size + parts->error_detail.size;
        uint64_t size_max = store_config(router->store)->kept_bytes;
        Kept *kept = hashmap_get_str(router->kept, key);
        int r;

        if (!answer_stands(parts->code) || size > size_max || (kept && claimant))
                return 0;
        if (kept)
                kept_free(router, kept);
        while (router->kept_size + size > size_max)
                kept_free(router, CONTAINER_OF(list_first(&router->kept_order), Kept, link));
        kept = calloc(1, sizeof(Kept));
        if (!kept)
                return -ENOMEM;
        (void) snprintf(kept->key, sizeof(kept->key), "%s", key);
        kept->code = parts->code;
        kept->size = size;
        router->kept_size += size;
        list_append(&router->kept_order, &kept->link);
        r = hashmap_put_str(router->kept, kept->key, kept);
        if (r == 0)
                r = kept_fill(kept, parts, claimant);
        if (r < 0)
                kept_free(router, kept);
        return r;
}

static Bytes buffer_bytes(const Buffer *buffer)
{
        return (Bytes){ buffer->data, buffer->size };
}

static int kept_answer(Router *router, const Kept *kept, const Ask *ask)
{
        return ask_answer(router, ask,
                          &(Parts){
                                  .code = kept->code,
                                  .error = kept->error,
                                  .response = buffer_bytes(&kept->parts[OUTCOME_RESPONSE]),
                                  .context = buffer_bytes(&kept->parts[OUTCOME_CONTEXT]),
                                  .error_detail = buffer_bytes(&kept->parts[OUTCOME_ERROR_DETAIL]),
                          });
}

static bool kept_is_for(const Kept *kept, const Request *request)
{
        if (!kept->is_claimed)
                return true;
        return kept->channel == request->channel &&
               (!kept->topics || strv_contains(kept->topics, request->track));
}

int resend_join(Router *router, Ask *ask, const char *key)
{
        RouterJob *job = hashmap_get_str(router->jobs_by_key, key);
        const Kept *kept = hashmap_get_str(router->kept, key);
        int r;

        if (job) {
                list_append(&job->asks, &ask->link);
                ask_let_lie(ask);
                return 1;
        }
        if (!kept || !kept_is_for(kept, &ask->request))
                return 0;
        r = kept_answer(router, kept, ask);
        ask_free(router, ask);
        return r < 0 ? r : 1;
}

/* Jobs of a router that is no more */

Foreign *foreign_free(Router *router, Foreign *foreign)
{
        if (hashmap_get_str(router->foreign, foreign->resend_key) == foreign)
                (void) hashmap_remove_str(router->foreign, foreign->resend_key);
        list_remove(&foreign->worker->foreign, &foreign->link);
        free(foreign);
        return NULL;
}

/* A job of that key waits already: its client sent again before this worker had said hello. */
static int bind_waiting(Router *router, Foreign *foreign)
{
        RouterJob *job = hashmap_get_str(router->jobs_by_key, foreign->resend_key);
        bool is_adopted;

        return job && job->state == JOB_WAITING ? resend_adopt(router, job, &is_adopted) : 0;
}

static int note_one(Router *router, Worker *worker, const JobRef *ref)
{
        Foreign *foreign = calloc(1, sizeof(Foreign));
        int r;

        if (!foreign)
                return -ENOMEM;
        (void) snprintf(foreign->job, sizeof(foreign->job), "%s", ref->job);
        (void) snprintf(foreign->token, sizeof(foreign->token), "%s", ref->token);
        foreign->worker = worker;
        list_append(&worker->foreign, &foreign->link);
        if (!ref->resend_key || hashmap_get_str(router->foreign, ref->resend_key))
                return 0;
        (void) snprintf(foreign->resend_key, sizeof(foreign->resend_key), "%s", ref->resend_key);
        r = hashmap_put_str(router->foreign, foreign->resend_key, foreign);
        return r < 0 ? r : bind_waiting(router, foreign);
}

int worker_note_foreign(Router *router, Worker *worker)
{
        int r = 0;

        for (size_t i = 0; i < worker->hello.n_jobs && r == 0; i++) {
                const RouterJob *job = hashmap_get_str(router->jobs, worker->hello.jobs[i].job);

                if (!job || job->worker != worker)
                        r = note_one(router, worker, &worker->hello.jobs[i]);
        }
        return r;
}

int resend_adopt(Router *router, RouterJob *job, bool *ret_is_adopted)
{
        Foreign *foreign = hashmap_get_str(router->foreign, job->resend_key);
        const Request *request = &job->ask->request;

        *ret_is_adopted = foreign && worker_serves(foreign->worker, request->channel, request->track) &&
                          !foreign->worker->is_leaving && !hashmap_get_str(router->jobs, foreign->job);
        return *ret_is_adopted ? job_adopt(router, job, foreign) : 0;
}

int resend_take_outcome(Router *router, Worker *worker, const Outcome *outcome, const Parts *parts)
{
        RouterJob *job =
                outcome->resend_key ? hashmap_get_str(router->jobs_by_key, outcome->resend_key) : NULL;

        LIST_FOREACH(Foreign, foreign, &worker->foreign, link)
                if (streq(foreign->job, outcome->job))
                        foreign_free(router, foreign);
        if (job && job->state == JOB_WAITING && answer_stands(parts->code) &&
            worker_serves(worker, job->ask->request.channel, job->ask->request.track))
                return job_finish(router, job, parts);
        return outcome->resend_key ? kept_put(router, outcome->resend_key, parts, worker) : 0;
}

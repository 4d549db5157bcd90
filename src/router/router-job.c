/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Jobs: from the request to one terminal answer.
 *
 * A job goes to an idle worker of its track, else to an idle generic one, else it waits where either kind is
 * alive. It is in two queues then, of its track and of its channel, so that whichever worker becomes free
 * finds the oldest job it may take without looking at another. Nothing here depends on how many workers or
 * waiting jobs there are, but the logarithm of the timers. */

#include "router-private.h"

#include "basic/string-util.h"
#include "shared/log.h"
#include "shared/message-ids.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define N_LOOKED_AT_MAX 16U /* members of a list, for one that fits */

static const struct {
        JobState from, to;
} transitions[] = {
        { JOB_WAITING, JOB_RUNNING },
        { JOB_RUNNING, JOB_WAITING }, /* its worker is lost */
        { JOB_RUNNING, JOB_ABANDONED },
};

static void job_set_state(Router *router, RouterJob *job, JobState state)
{
        bool is_legal = false;

        for (size_t i = 0; i < ARRAY_SIZE(transitions); i++)
                is_legal = is_legal || (transitions[i].from == job->state && transitions[i].to == state);
        assert(is_legal);
        router->n_waiting -= job->state == JOB_WAITING;
        router->n_running -= job->state == JOB_RUNNING;
        router->n_waiting += state == JOB_WAITING;
        router->n_running += state == JOB_RUNNING;
        job->state = state;
}

static void random_digits(char *ret, size_t n_bytes)
{
        uint8_t bytes[16];

        if (getrandom(bytes, n_bytes, 0) != (ssize_t) n_bytes)
                abort(); /* so few bytes always come, once the kernel has any */
        hex_encode(bytes, n_bytes, ret);
}

static void job_leave_queues(RouterJob *job)
{
        list_remove(&job->track->waiting, &job->in_track);
        list_remove(&job->channel->waiting, &job->in_channel);
}

void job_leave_worker(RouterJob *job)
{
        if (!job->worker)
                return;
        list_remove(&job->worker->jobs, &job->in_worker);
        job->worker = NULL;
}

static void job_forget_key(Router *router, RouterJob *job)
{
        if (job->is_kept_by_key)
                (void) hashmap_remove_str(router->jobs_by_key, job->resend_key);
        job->is_kept_by_key = false;
}

RouterJob *job_free(Router *router, RouterJob *job)
{
        if (!job)
                return NULL;
        timer_stop(router, &job->timer);
        job_leave_queues(job);
        job_leave_worker(job);
        job_forget_key(router, job);
        (void) hashmap_remove_str(router->jobs, job->id);
        router->n_waiting -= job->state == JOB_WAITING;
        router->n_running -= job->state == JOB_RUNNING;
        LIST_FOREACH(Ask, ask, &job->asks, link)
                ask_free(router, ask);
        free(job);
        return NULL;
}

/* Answers kept for those who send again */

Kept *kept_free(Router *router, Kept *kept)
{
        (void) hashmap_remove_str(router->kept, kept->key);
        list_remove(&router->kept_order, &kept->link);
        router->kept_size -= kept->size;
        free(kept->error);
        for (size_t i = 0; i < PEER_N_PARTS_MAX; i++)
                buffer_done(&kept->parts[i]);
        free(kept);
        return NULL;
}

static int kept_fill(Kept *kept, const Parts *parts)
{
        const Bytes bytes[PEER_N_PARTS_MAX] = { parts->response, parts->context, parts->error_detail };
        int r = 0;

        for (size_t i = 0; i < PEER_N_PARTS_MAX && r == 0; i++)
                r = buffer_append(&kept->parts[i], bytes[i].data, bytes[i].size, PEER_PART_SIZE_MAX);
        if (r == 0 && parts->error) {
                kept->error = strdup(parts->error);
                r = kept->error ? 0 : -ENOMEM;
        }
        return r;
}

int kept_put(Router *router, const char *key, const Parts *parts)
{
        size_t size = sizeof(Kept) + parts->response.size + parts->context.size + parts->error_detail.size;
        Kept *kept = hashmap_get_str(router->kept, key);
        int r;

        if (kept)
                kept_free(router, kept);
        if (size > store_config(router->store)->kept_bytes)
                return 0;
        while (router->kept_size + size > store_config(router->store)->kept_bytes)
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
                r = kept_fill(kept, parts);
        if (r < 0)
                kept_free(router, kept);
        return r;
}

static int kept_answer(Router *router, const Kept *kept, const Ask *ask)
{
        return ask_answer(
                router, ask,
                &(Parts){
                        .code = kept->code,
                        .error = kept->error,
                        .response = { kept->parts[OUTCOME_RESPONSE].data,
                                      kept->parts[OUTCOME_RESPONSE].size },
                        .context = { kept->parts[OUTCOME_CONTEXT].data, kept->parts[OUTCOME_CONTEXT].size },
                        .error_detail = { kept->parts[OUTCOME_ERROR_DETAIL].data,
                                          kept->parts[OUTCOME_ERROR_DETAIL].size },
                });
}

/* SHA-256 of who asks for what. */
static int resend_key(const Ask *ask, char *ret)
{
        _cleanup_free_ char *canonical = request_canonical(&ask->request), *text = NULL;
        uint8_t digest[32];

        if (!canonical)
                return -ENOMEM;
        text = string_format("%s\n%s\n%s\n%s\n%s", ask->principal->name,
                             channel_to_string(ask->request.channel), action_to_string(ask->request.action),
                             ask->request.id, canonical);
        if (!text || EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL) != 1)
                return -ENOMEM;
        hex_encode(digest, sizeof(digest), ret);
        return 0;
}

/* The end */

static void job_log_end(const RouterJob *job, const Parts *parts, usec_t now)
{
        const Request *request = &job->ask->request;
        char code[16];

        (void) snprintf(code, sizeof(code), "%u", parts->code);
        log_struct(LOG_INFO,
                   LOG_FIELDS({ "MESSAGE_ID", MSG_ROUTER_JOB_ENDED }, { "PIPELINE_JOB", job->id },
                              { "PIPELINE_CHANNEL", channel_to_string(request->channel) },
                              { "PIPELINE_TRACK", request->track }, { "PIPELINE_CODE", code },
                              { "PIPELINE_WORKER", job->worker ? job->worker->hello.name : NULL }),
                   "Job %s (%s %s, version %s) ended with %u %s after %" PRIu64 " ms", job->id,
                   request->track, request->exercise, request->version, parts->code,
                   status_name(parts->code), (now - job->ask->start_usec) / USEC_PER_MSEC);
}

static int job_tell_worker_to_stop(Router *router, RouterJob *job, const char *reason)
{
        JobRef ref = { .job = job->id, .token = job->token, .reason = (char *) reason };
        int r = worker_say(router, job->worker, PEER_CANCEL, job_ref_to_json(&ref));

        return r < 0 ? r : 0;
}

/* Answered while its worker is at it: the worker is told, and its slot stays taken until it says so. */
static int job_abandon(Router *router, RouterJob *job, const char *reason)
{
        timer_stop(router, &job->timer);
        job_forget_key(router, job);
        job_set_state(router, job, JOB_ABANDONED);
        return job_tell_worker_to_stop(router, job, reason);
}

int job_finish(Router *router, RouterJob *job, const Parts *parts)
{
        int r = 0;

        job_log_end(job, parts, router_now(router));
        LIST_FOREACH(Ask, ask, &job->asks, link)
                if (r == 0)
                        r = ask_answer(router, ask, parts);
        if (r == 0 && job->resend_key[0] != '\0')
                r = kept_put(router, job->resend_key, parts);
        if (r == 0 && job->state == JOB_RUNNING && !job->is_done)
                return job_abandon(router, job, status_name(parts->code));
        job_free(router, job);
        return r;
}

static int job_fail(Router *router, RouterJob *job, StatusCode code, const char *error)
{
        return job_finish(router, job, &(Parts){ .code = code, .error = error });
}

/* "current_worker_count" is what clients know it by. */
static int job_fail_without_worker(Router *router, RouterJob *job, const char *error)
{
        char detail[64];
        int n = snprintf(detail, sizeof(detail), "{\"current_worker_count\":%zu}",
                         job->track->n_workers + job->channel->n_workers);

        return job_finish(router, job,
                          &(Parts){ .code = STATUS_NO_WORKER,
                                    .error = error,
                                    .error_detail = { detail, (size_t) n } });
}

/* Giving it out */

/* How a worker stands to a job's version. One that is about to have it is better waited for; one that cannot
 * get it is asked all the same where there is no other, and says so. */
typedef enum Fitness {
        FIT_NOT_YET,
        FIT_WITHOUT,
        FIT_HOLDS,
} Fitness;

static Fitness worker_fitness(const Worker *worker, const Request *request)
{
        const VersionItem *install;

        if (version_list_find(&worker->configured.held, request->track, request->version))
                return FIT_HOLDS;
        install = version_list_find(&worker->configured.installing, request->track, request->version);
        return install && install->state && !streq(install->state, "failed") ? FIT_NOT_YET : FIT_WITHOUT;
}

static Seat *place_pick(const Place *place, const Request *request)
{
        Seat *without = NULL;
        size_t n = 0;

        for (ListLink *link = list_first(&place->idle);
             link && link != &place->idle.root && n < N_LOOKED_AT_MAX; link = link->next, n++) {
                Seat *seat = CONTAINER_OF(link, Seat, link);
                Fitness fitness = worker_fitness(seat->worker, request);

                if (fitness == FIT_HOLDS)
                        return seat;
                if (fitness == FIT_WITHOUT && !without)
                        without = seat;
        }
        return without;
}

/* Least recently used first: whoever got a job goes to the end, or out of the lists where it has no slot
 * left. */
static void worker_take_seats(Worker *worker)
{
        for (size_t i = 0; i < worker->n_seats; i++) {
                Seat *seat = &worker->seats[i];

                list_remove(&seat->place->idle, &seat->link);
                if (worker_free_slots(worker) > 0)
                        list_append(&seat->place->idle, &seat->link);
        }
}

static json_object *job_text(Router *router, RouterJob *job)
{
        const Request *request = &job->ask->request;
        const StoreTrack *track =
                store_config_track(store_config(router->store), request->channel, request->track);
        const VersionItem *version =
                track ? version_list_find(&track->versions, request->track, request->version) : NULL;
        Job message = {
                .job = job->id,
                .token = job->token,
                .attempt = job->attempt,
                .action = (char *) action_to_string(request->action),
                .channel = request->channel,
                .track = request->track,
                .exercise = request->exercise,
                .id = request->id,
                .input = request->input,
                .version = request->version,
                .digest = version ? version->digest : NULL,
                .limits = job->limits,
                .profile = track ? track->settings.profile : (char *) "default",
                .entrypoint = track ? track->settings.entrypoint : NULL,
                .setup_usec = store_config(router->store)->times.setup_usec,
                .resend_key = job->resend_key[0] != '\0' ? job->resend_key : NULL,
        };

        return job_to_json(&message);
}

/* ROUTER_GONE where the worker is. */
static int job_give(Router *router, RouterJob *job, Worker *worker)
{
        int r;

        random_digits(job->token, 8);
        job->attempt++;
        r = worker_say(router, worker, PEER_JOB, job_text(router, job));
        if (r != 0) {
                job->attempt--;
                return r;
        }
        job_leave_queues(job);
        job->worker = worker;
        list_append(&worker->jobs, &job->in_worker);
        job_set_state(router, job, JOB_RUNNING);
        worker_take_seats(worker);
        return timer_set(router, &job->timer, job->deadline);
}

static int job_wait(Router *router, RouterJob *job)
{
        if (list_link_is_in(&job->in_track))
                return 0;
        if (job->track->n_workers + job->channel->n_workers == 0 && job->attempt == 0)
                return job_fail_without_worker(router, job, "no worker serves this track");
        if (job->track->waiting.n_members >= store_config(router->store)->queue_length)
                return job_fail_without_worker(router, job,
                                               "the queue of this track is full; try again later");
        list_append(&job->track->waiting, &job->in_track);
        list_append(&job->channel->waiting, &job->in_channel);
        return timer_set(router, &job->timer, MIN(job->queue_deadline, job->deadline));
}

/* To the first worker that is there and idle; those found gone are let go on the way. */
static int job_place(Router *router, RouterJob *job)
{
        for (;;) {
                Seat *seat = place_pick(job->track, &job->ask->request)
                                     ?: place_pick(job->channel, &job->ask->request);
                int r;

                if (!seat)
                        return job_wait(router, job);
                r = job_give(router, job, seat->worker);
                if (r != ROUTER_GONE)
                        return r;
        }
}

static bool worker_is_generic(const Worker *worker)
{
        return !worker->hello.topics || !worker->hello.topics[0];
}

/* The job that has waited longest at a place, of those whose version the worker will not have in a moment.
 */
static RouterJob *place_oldest_for(const Place *place, const Worker *worker)
{
        size_t n = 0;

        for (ListLink *link = list_first(&place->waiting); link && link != &place->waiting.root;
             link = link->next) {
                RouterJob *job = worker_is_generic(worker) ? CONTAINER_OF(link, RouterJob, in_channel)
                                                           : CONTAINER_OF(link, RouterJob, in_track);

                if (worker_fitness(worker, &job->ask->request) != FIT_NOT_YET)
                        return job;
                if (++n == N_LOOKED_AT_MAX)
                        return NULL;
        }
        return NULL;
}

static RouterJob *worker_oldest_waiting(const Worker *worker)
{
        RouterJob *oldest = NULL;

        for (size_t i = 0; i < worker->n_seats; i++) {
                RouterJob *job = place_oldest_for(worker->seats[i].place, worker);

                if (job && (!oldest || job->ask->start_usec < oldest->ask->start_usec))
                        oldest = job;
        }
        return oldest;
}

int worker_feed(Router *router, Worker *worker)
{
        worker_take_seats(worker);
        while (worker_free_slots(worker) > 0) {
                RouterJob *job = worker_oldest_waiting(worker);
                int r = job ? job_give(router, job, worker) : ROUTER_GONE;

                if (r != 0)
                        return r < 0 ? r : 0;
        }
        return 0;
}

/* Its time is over: in the queue, or altogether. */
static int job_on_time(Router *router, Timer *timer)
{
        RouterJob *job = CONTAINER_OF(timer, RouterJob, timer);

        if (job->state == JOB_WAITING && job->queue_deadline < job->deadline)
                return job_fail_without_worker(router, job, "waited too long for a worker");
        return job_fail(router, job, STATUS_NO_ANSWER, "no answer in time");
}

int job_retry(Router *router, RouterJob *job, const char *why)
{
        usec_t now = router_now(router);

        job_leave_worker(job);
        if (job->state == JOB_ABANDONED) {
                job_free(router, job);
                return 0;
        }
        job_set_state(router, job, JOB_WAITING);
        if (job->attempt >= N_ATTEMPTS_MAX || now + job->limits.wall_usec > job->deadline)
                return job_fail(router, job, STATUS_WORKER_ERROR, why);
        log_struct(LOG_NOTICE,
                   LOG_FIELDS({ "MESSAGE_ID", MSG_ROUTER_JOB_RETRIED }, { "PIPELINE_JOB", job->id },
                              { "PIPELINE_TRACK", job->ask->request.track }),
                   "Job %s is given out once more: %s", job->id, why);
        job->queue_deadline = now + store_config(router->store)->times.queue_usec;
        return job_place(router, job);
}

/* The beginning */

static void job_set_times(Router *router, RouterJob *job, const StoreTrack *track)
{
        const Times *times = &store_config(router->store)->times;
        const Request *request = &job->ask->request;
        usec_t now = router_now(router);

        job->limits = track->settings.limits;
        if (request->execution_usec > 0)
                job->limits.wall_usec = MIN(request->execution_usec, track->wall_max_usec);
        job->queue_deadline = now + times->queue_usec;
        job->deadline =
                now + (request->timeout_usec > 0 ? request->timeout_usec
                                                 : times->queue_usec + times->setup_usec +
                                                           job->limits.wall_usec + times->margin_usec);
}

/* Takes the ask with success. */
static int job_new(Router *router, Ask *ask, const StoreTrack *track, RouterJob **ret)
{
        RouterJob *job = calloc(1, sizeof(RouterJob));
        int r;

        if (!job)
                return -ENOMEM;
        random_digits(job->id, 16);
        job->ask = ask;
        job->timer.fire = job_on_time;
        job->channel = &router->channels[ask->request.channel];
        job->track = router_place(router, ask->request.channel, ask->request.track);
        list_init(&job->asks);
        r = job->track ? hashmap_put_str(router->jobs, job->id, job) : -ENOMEM;
        if (r < 0) {
                free(job);
                return r;
        }
        list_append(&job->asks, &ask->link);
        job_set_times(router, job, track);
        router->n_waiting++;
        *ret = job;
        return 0;
}

/* Sent again: 0 where it must be run, 1 where it was answered or has joined its running job. */
static int job_join(Router *router, Ask *ask, const char *key)
{
        RouterJob *job = hashmap_get_str(router->jobs_by_key, key);
        const Kept *kept = hashmap_get_str(router->kept, key);
        int r;

        if (job) {
                list_append(&job->asks, &ask->link);
                return 1;
        }
        if (!kept)
                return 0;
        r = kept_answer(router, kept, ask);
        ask_free(router, ask);
        return r < 0 ? r : 1;
}

static int job_check(Router *router, const Ask *ask, const StoreTrack **ret_track)
{
        const Request *request = &ask->request;
        const StoreConfig *config = store_config(router->store);
        const StoreTrack *track = store_config_track(config, request->channel, request->track);
        int r;

        if (!track) {
                r = ask_fail(router, ask, STATUS_MALFORMED_REQUEST,
                             "unknown track: nothing was ever deployed for it", NULL);
                return r < 0 ? r : 1;
        }
        if (!version_list_find(&track->versions, request->track, request->version)) {
                r = ask_fail(router, ask, STATUS_VERSION_NOT_DEPLOYED, "this version is not deployed", NULL);
                return r < 0 ? r : 1;
        }
        if (router->memory_size > config->memory_bytes) {
                r = ask_fail(router, ask, STATUS_NO_WORKER,
                             "too many requests are under way; try again later", NULL);
                return r < 0 ? r : 1;
        }
        *ret_track = track;
        return 0;
}

int job_accept(Router *router, Ask *ask)
{
        const StoreTrack *track = NULL;
        char key[RESEND_KEY_SIZE] = "";
        RouterJob *job = NULL;
        int r = ask->request.resend ? resend_key(ask, key) : 0;

        if (r == 0 && key[0] != '\0') {
                r = job_join(router, ask, key);
                if (r == 1)
                        return 0;
        }
        if (r == 0)
                r = job_check(router, ask, &track);
        if (r == 0)
                r = job_new(router, ask, track, &job);
        if (r != 0) {
                ask_free(router, ask);
                return r < 0 ? r : 0;
        }
        if (key[0] != '\0') {
                memcpy(job->resend_key, key, sizeof(key));
                r = hashmap_put_str(router->jobs_by_key, key, job);
                if (r < 0)
                        return r;
                job->is_kept_by_key = true;
        }
        return job_place(router, job);
}

/* The jobs of one client's id: two passes, as a map must not change while it is walked. */
static RouterJob *find_cancellable(const Router *router, const Ask *ask)
{
        HASHMAP_FOREACH(RouterJob, job, router->jobs)
                if (job->state != JOB_ABANDONED && job->ask->principal == ask->principal &&
                    streq(job->ask->request.id, ask->request.id))
                        return job;
        return NULL;
}

int job_cancel_all(Router *router, const Ask *ask, size_t *ret_n)
{
        static const char detail[] = "{\"limit\":\"cancelled\"}";
        const Parts parts = { .code = STATUS_TERMINATED,
                              .error = "cancelled",
                              .error_detail = { detail, sizeof(detail) - 1 } };
        RouterJob *job;
        size_t n = 0;

        for (; (job = find_cancellable(router, ask)); n++) {
                int r = job_finish(router, job, &parts);

                if (r < 0)
                        return r;
        }
        *ret_n = n;
        return 0;
}

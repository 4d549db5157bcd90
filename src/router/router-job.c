/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Jobs: from the request to one terminal answer.
 *
 * A job goes to an idle worker of its track, else to an idle generic one, else it waits where either kind is
 * alive (router-place.c). Nothing here depends on how many workers or waiting jobs there are, but the
 * logarithm of the timers.
 *
 * For a moment after the start the workers of the router before this one are still coming back.
 * Jobs that find no worker wait until then, and so do those that are sent again: a worker may say
 * that it runs them. */

#include "router-private.h"

#include "basic/string-util.h"
#include "shared/log.h"
#include "shared/message-ids.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define PUT_OFF_USEC (200 * USEC_PER_MSEC)

static const struct {
        JobState from, to;
} transitions[] = {
        { JOB_WAITING, JOB_RUNNING },
        { JOB_RUNNING, JOB_WAITING }, /* its worker is lost, or cannot take it */
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

void job_leave_worker(RouterJob *job)
{
        if (!job->worker)
                return;
        list_remove(&job->worker->jobs, &job->in_worker);
        job->worker = NULL;
}

/* The jobs of a client's id */

static int job_join_client(Router *router, RouterJob *job)
{
        _cleanup_free_ char *key =
                string_format("%s\n%s", job->ask->principal->name, job->ask->request.id ?: "");
        ClientJobs *client = key ? hashmap_get_str(router->jobs_by_client, key) : NULL;

        if (!key)
                return -ENOMEM;
        if (!client) {
                client = calloc(1, sizeof(ClientJobs));
                if (!client)
                        return -ENOMEM;
                list_init(&client->jobs);
                if (hashmap_put_str(router->jobs_by_client, key, client) < 0) {
                        free(client);
                        return -ENOMEM;
                }
                client->key = TAKE_PTR(key);
        }
        list_append(&client->jobs, &job->in_client);
        job->client = client;
        return 0;
}

static void job_leave_client(Router *router, RouterJob *job)
{
        ClientJobs *client = TAKE_PTR(job->client);

        if (!client)
                return;
        list_remove(&client->jobs, &job->in_client);
        if (!list_is_empty(&client->jobs))
                return;
        (void) hashmap_remove_str(router->jobs_by_client, client->key);
        free(client->key);
        free(client);
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
        queue_leave(router, job, false);
        job_leave_worker(job);
        job_forget_key(router, job);
        job_leave_client(router, job);
        (void) hashmap_remove_str(router->jobs, job->id);
        router->n_waiting -= job->state == JOB_WAITING;
        router->n_running -= job->state == JOB_RUNNING;
        LIST_FOREACH(Ask, ask, &job->asks, link)
                ask_free(router, ask);
        place_unref(router, job->track);
        holder_unref(router, job->holder);
        free(job);
        return NULL;
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
                   "Job %s (%s %s, %s %s) ended with %u %s after %" PRIu64 " ms", job->id, request->track,
                   request->exercise ?: channel_to_string(request->target),
                   request->version ? "version" : "reference", request->version ?: request->git_reference,
                   parts->code, status_name(parts->code), (now - job->ask->start_usec) / USEC_PER_MSEC);
}

static int job_tell_worker_to_stop(Router *router, RouterJob *job, const char *reason)
{
        JobRef ref = { .job = job->id, .token = job->token, .reason = (char *) reason };
        int r = worker_say(router, job->worker, PEER_CANCEL, job_ref_to_json(&ref));

        return r < 0 ? r : 0;
}

/* Answered while its worker is at it: the worker is told, and its slot stays taken until it says so. One
 * that does not is told to begin anew when the timer fires. */
static int job_abandon(Router *router, RouterJob *job, const char *reason)
{
        int r = timer_set(router, &job->timer,
                          router_now(router) + store_config(router->store)->times.dead_usec);

        if (r < 0)
                return r;
        job_forget_key(router, job);
        job_leave_client(router, job);
        job_set_state(router, job, JOB_ABANDONED);
        return job_tell_worker_to_stop(router, job, reason);
}

int job_finish(Router *router, RouterJob *job, const Parts *parts)
{
        int r = 0;

        job_log_end(job, parts, router_now(router));
        stats_job_ended(router, job, parts->code);
        LIST_FOREACH(Ask, ask, &job->asks, link)
                if (r == 0)
                        r = ask_answer(router, ask, parts);
        if (r == 0 && job->resend_key[0] != '\0')
                r = kept_put(router, job->resend_key, parts, NULL);
        if (r == 0 && job->state == JOB_RUNNING && !job->is_done)
                return job_abandon(router, job, status_name(parts->code));
        job_free(router, job);
        return r;
}

static int job_fail(Router *router, RouterJob *job, StatusCode code, const char *error)
{
        char context[64];
        int n = snprintf(context, sizeof(context), "{\"job\":\"%s\"}", job->id);

        return job_finish(router, job,
                          &(Parts){ .code = code, .error = error, .context = { context, (size_t) n } });
}

/* "current_worker_count" is what clients know it by. */
static int job_fail_without_worker(Router *router, RouterJob *job, const char *error)
{
        char detail[64], context[64];
        int n = snprintf(detail, sizeof(detail), "{\"current_worker_count\":%zu}",
                         job->track->n_workers + job->channel->n_workers);
        int n_context = snprintf(context, sizeof(context), "{\"job\":\"%s\"}", job->id);

        return job_finish(router, job,
                          &(Parts){ .code = STATUS_NO_WORKER,
                                    .error = error,
                                    .context = { context, (size_t) n_context },
                                    .error_detail = { detail, (size_t) n } });
}

/* Giving it out */

/* The track whose settings a job goes by: its own, or the one that a build is for. NULL where nothing is
 * known of it. */
static const StoreTrack *job_track(const Router *router, const Request *request)
{
        Channel channel = request->action == ACTION_BUILD_CONTAINER ? request->target : request->channel;

        return store_config_track(store_config(router->store), channel, request->track);
}

/* `track` and `version` may be NULL for a build. */
static json_object *job_text(Router *router, RouterJob *job, const StoreTrack *track,
                             const VersionItem *version)
{
        const Request *request = &job->ask->request;
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
                .git_reference = request->git_reference,
                .target = request->target,
                .build_usec = job->build_usec,
                .digest = version ? version->digest : NULL,
                .limits = job->limits,
                .profile = track ? track->settings.profile : (char *) "default",
                .entrypoint = track ? track->settings.entrypoint : NULL,
                .late_success = track && track->settings.late_success,
                .setup_usec = store_config(router->store)->times.setup_usec,
                .resend_key = job->resend_key[0] != '\0' ? job->resend_key : NULL,
        };

        return job_to_json(&message);
}

static void job_log_given(const RouterJob *job, usec_t now)
{
        const Request *request = &job->ask->request;
        char attempt[16];

        (void) snprintf(attempt, sizeof(attempt), "%u", job->attempt);
        log_struct(LOG_INFO,
                   LOG_FIELDS({ "MESSAGE_ID", MSG_ROUTER_JOB_GIVEN }, { "PIPELINE_JOB", job->id },
                              { "PIPELINE_CHANNEL", channel_to_string(request->channel) },
                              { "PIPELINE_TRACK", request->track }, { "PIPELINE_ATTEMPT", attempt },
                              { "PIPELINE_WORKER", job->worker->hello.name }),
                   "Job %s goes to %s after %" PRIu64 " ms: %s %s, %s %s, asked for by %s", job->id,
                   job->worker->hello.name, (now - job->ask->start_usec) / USEC_PER_MSEC, request->track,
                   request->exercise ?: channel_to_string(request->target),
                   request->version ? "version" : "reference", request->version ?: request->git_reference,
                   job->ask->principal->name);
}

/* ROUTER_GONE where the worker is. A job whose version was unloaded while it waited is answered. */
static int job_give(Router *router, RouterJob *job, Worker *worker)
{
        const Request *request = &job->ask->request;
        const StoreTrack *track = job_track(router, request);
        const VersionItem *version =
                track && request->version
                        ? version_list_find(&track->versions, request->track, request->version)
                        : NULL;
        int r;

        if (!version && job->build_usec == 0)
                return job_fail(router, job, STATUS_VERSION_NOT_DEPLOYED,
                                "this version was unloaded while the job waited");
        random_digits(job->token, 8);
        job->attempt++;
        r = worker_say(router, worker, PEER_JOB, job_text(router, job, track, version));
        if (r != 0) {
                job->attempt--;
                return r;
        }
        queue_leave(router, job, true);
        job->worker = worker;
        list_append(&worker->jobs, &job->in_worker);
        job_set_state(router, job, JOB_RUNNING);
        stats_job_given(router, job);
        job_log_given(job, router_now(router));
        worker_take_seats(worker);
        return timer_set(router, &job->timer, job->deadline);
}

/* Until its time in the queue is over, or it is looked at anew. */
static int job_wait_until(Router *router, RouterJob *job, usec_t usec)
{
        usec_t over = MIN(job->queue_deadline, job->deadline);

        return timer_set(router, &job->timer, MIN(usec, over));
}

static int job_wait(Router *router, RouterJob *job)
{
        bool is_settling = router_now(router) < router->settled_usec, is_first = job->attempt == 0;
        int r;

        if (!job_has_workers(job) && is_first && !is_settling)
                return job_fail_without_worker(router, job, "no worker serves this track");
        if (is_first && !queue_has_room(router, job))
                return job_fail_without_worker(router, job,
                                               "the queue of this track is full; try again later");
        r = queue_enter(router, job);
        if (r < 0)
                return r;
        return job_wait_until(router, job,
                              is_settling && !job_has_workers(job) ? router->settled_usec : USEC_INFINITY);
}

/* To the first worker that is there and idle; those found gone are let go on the way. */
static int job_place(Router *router, RouterJob *job)
{
        queue_leave(router, job, false);
        for (;;) {
                Worker *worker = job_pick_worker(job);
                int r;

                if (!worker)
                        return job_wait(router, job);
                r = job_give(router, job, worker);
                if (r != ROUTER_GONE)
                        return r;
        }
}

int job_adopt(Router *router, RouterJob *job, Foreign *foreign)
{
        Worker *worker = foreign->worker;
        int r = hashmap_put_str(router->jobs, foreign->job, job);

        if (r < 0)
                return r;
        (void) hashmap_remove_str(router->jobs, job->id);
        memcpy(job->id, foreign->job, sizeof(job->id));
        memcpy(job->token, foreign->token, sizeof(job->token));
        foreign_free(router, foreign);
        queue_leave(router, job, false);
        job->attempt = MAX(job->attempt, 1U);
        job->worker = worker;
        list_append(&worker->jobs, &job->in_worker);
        job_set_state(router, job, JOB_RUNNING);
        return timer_set(router, &job->timer, job->deadline);
}

int worker_feed(Router *router, Worker *worker)
{
        worker_take_seats(worker);
        while (worker_free_slots(worker) > 0) {
                RouterJob *job = worker_pick_job(worker);
                int r = job ? job_give(router, job, worker) : ROUTER_GONE;

                if (r != 0)
                        return r < 0 ? r : 0;
        }
        return 0;
}

/* Told to end, and not heard of since: what its worker says next decides about the slot. */
static int job_is_not_ended(Router *router, RouterJob *job)
{
        return worker_renew(router, job->worker,
                            "begin anew: a job that you were told to end is not ended in time");
}

/* Its time is over, in the queue or altogether; or it is looked at anew. */
static int job_on_time(Router *router, Timer *timer)
{
        RouterJob *job = CONTAINER_OF(timer, RouterJob, timer);
        usec_t now = router_now(router);

        if (job->state == JOB_ABANDONED)
                return job_is_not_ended(router, job);
        if (now >= job->deadline)
                return job_fail(router, job, STATUS_NO_ANSWER, "no answer in time");
        if (now < job->queue_deadline)
                return job_place(router, job);
        if (job->attempt > 0)
                return job_fail(router, job, STATUS_WORKER_ERROR,
                                "the worker that ran it is lost, and no other became free in time");
        return job_fail_without_worker(router, job, "waited too long for a worker");
}

/* `why` may be a worker's own words. */
static void job_log_retry(const RouterJob *job, const char *why)
{
        _cleanup_free_ char *reason = string_escape(why, strlen(why), LOG_TEXT_MAX);

        log_struct(LOG_NOTICE,
                   LOG_FIELDS({ "MESSAGE_ID", MSG_ROUTER_JOB_RETRIED }, { "PIPELINE_JOB", job->id },
                              { "PIPELINE_TRACK", job->ask->request.track }),
                   "Job %s is given out once more: %s", job->id, reason ?: "");
}

int job_retry(Router *router, RouterJob *job, const char *why)
{
        usec_t now = router_now(router);

        job_leave_worker(job);
        job->is_done = false;
        if (job->state == JOB_ABANDONED) {
                job_free(router, job);
                return 0;
        }
        job_set_state(router, job, JOB_WAITING);
        if (job->attempt >= N_ATTEMPTS_MAX || now + job->limits.wall_usec > job->deadline)
                return job_fail(router, job, STATUS_WORKER_ERROR, why);
        job_log_retry(job, why);
        if (job->build_usec == 0)
                job->queue_deadline = now + store_config(router->store)->times.queue_usec;
        return job_place(router, job);
}

int job_put_off(Router *router, RouterJob *job)
{
        usec_t again = router_now(router) + PUT_OFF_USEC;

        job_leave_worker(job);
        job_set_state(router, job, JOB_WAITING);
        job->attempt--;
        if (again >= job->queue_deadline)
                return job_fail_without_worker(router, job, "the workers of this track cannot take a job");
        return job_wait_until(router, job, again);
}

/* The beginning */

static void job_set_times(Router *router, RouterJob *job, const StoreTrack *track)
{
        const Times *times = &store_config(router->store)->times;
        const Request *request = &job->ask->request;
        usec_t now = router_now(router);

        job->limits = track ? track->settings.limits : limits_default;
        if (request->action == ACTION_BUILD_CONTAINER)
                job->build_usec = request->execution_usec > 0
                                          ? MIN(request->execution_usec, times->build_usec)
                                          : times->build_usec;
        else if (request->execution_usec > 0)
                job->limits.wall_usec = MIN(request->execution_usec, track->wall_max_usec);
        /* Builds wait for each other, for as long as it takes. */
        job->queue_deadline = job->build_usec > 0 ? USEC_INFINITY : now + times->queue_usec;
        job->deadline =
                now + (request->timeout_usec > 0
                               ? request->timeout_usec
                               : times->queue_usec + times->setup_usec + times->margin_usec +
                                         (job->build_usec > 0 ? job->build_usec : job->limits.wall_usec));
}

/* `track` may be NULL for a build. Takes the ask with success. */
static int job_new(Router *router, Ask *ask, const StoreTrack *track, RouterJob **ret)
{
        RouterJob *job = calloc(1, sizeof(RouterJob));
        int r;

        if (!job)
                return -ENOMEM;
        router->n_waiting++;
        random_digits(job->id, 16);
        job->ask = ask;
        job->timer.fire = job_on_time;
        job->channel = &router->channels[ask->request.channel];
        job->track = place_get(router, ask->request.channel, ask->request.track);
        job->holder =
                holder_get(router, ask->request.channel, ask->request.track, ask->request.version ?: "");
        list_init(&job->asks);
        r = job->track && job->holder ? hashmap_put_str(router->jobs, job->id, job) : -ENOMEM;
        if (r == 0)
                r = job_join_client(router, job);
        if (r < 0) {
                job_free(router, job);
                return r;
        }
        list_append(&job->asks, &ask->link);
        ask_let_lie(ask);
        job_set_times(router, job, track);
        *ret = job;
        return 0;
}

static int job_check(Router *router, const Ask *ask, const StoreTrack **ret_track)
{
        const Request *request = &ask->request;
        const StoreTrack *track = job_track(router, request);
        int r;

        *ret_track = track;
        if (request->action == ACTION_BUILD_CONTAINER)
                return 0;
        if (!track) {
                r = ask_fail(router, ask, STATUS_MALFORMED_REQUEST,
                             "unknown track: nothing was ever deployed for it", NULL);
                return r < 0 ? r : 1;
        }
        if (!version_list_find(&track->versions, request->track, request->version)) {
                r = ask_fail(router, ask, STATUS_VERSION_NOT_DEPLOYED, "this version is not deployed", NULL);
                return r < 0 ? r : 1;
        }
        return 0;
}

/* Whether there is room for it, whoever joins whose job. */
static int job_check_room(Router *router, const Ask *ask)
{
        int r;

        if (router->memory_size <= store_config(router->store)->memory_bytes)
                return 0;
        r = ask_fail(router, ask, STATUS_NO_WORKER, "too many requests are under way; try again later",
                     NULL);
        return r < 0 ? r : 1;
}

static int job_set_key(Router *router, RouterJob *job, const char *key)
{
        int r;

        if (key[0] == '\0')
                return 0;
        memcpy(job->resend_key, key, sizeof(job->resend_key));
        r = hashmap_put_str(router->jobs_by_key, key, job);
        job->is_kept_by_key = r == 0;
        return r;
}

/* The first time that it is given out, unless a worker has it already, or may yet say so. */
static int job_begin(Router *router, RouterJob *job)
{
        bool is_adopted = false;
        int r = 0;

        if (job->resend_key[0] == '\0')
                return job_place(router, job);
        r = resend_adopt(router, job, &is_adopted);
        if (r < 0 || is_adopted)
                return r;
        if (router_now(router) < router->settled_usec)
                return job_wait_until(router, job, router->settled_usec);
        return job_place(router, job);
}

int job_accept(Router *router, Ask *ask)
{
        const StoreTrack *track = NULL;
        char key[RESEND_KEY_SIZE] = "";
        RouterJob *job = NULL;
        int r = job_check_room(router, ask);

        if (r == 0 && ask->request.resend)
                r = resend_key(ask, key);
        if (r == 0 && key[0] != '\0') {
                r = resend_join(router, ask, key);
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
        r = job_set_key(router, job, key);
        return r < 0 ? r : job_begin(router, job);
}

int job_cancel_all(Router *router, const Ask *ask, size_t *ret_n)
{
        static const char detail[] = "{\"limit\":\"cancelled\"}";
        const Parts parts = { .code = STATUS_TERMINATED,
                              .error = "cancelled",
                              .error_detail = { detail, sizeof(detail) - 1 } };
        _cleanup_free_ char *key = string_format("%s\n%s", ask->principal->name, ask->request.id);
        ClientJobs *client;

        if (!key)
                return -ENOMEM;
        *ret_n = 0;
        /* With its last job it is gone. */
        while ((client = hashmap_get_str(router->jobs_by_client, key))) {
                int r = job_finish(router, CONTAINER_OF(list_first(&client->jobs), RouterJob, in_client),
                                   &parts);

                if (r < 0)
                        return r;
                ++*ret_n;
        }
        return 0;
}

int job_on_progress(Router *router, const RouterJob *job, const Progress *progress)
{
        LIST_FOREACH(Ask, ask, &job->asks, link) {
                int r = ask->request.progress ? ask_tell(router, ask, progress) : 0;

                if (r < 0)
                        return r;
        }
        return 0;
}

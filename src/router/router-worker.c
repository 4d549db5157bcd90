/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Workers: what they say (docs/PROTOCOL.md part 2), and what becomes of their jobs when they are gone.
 *
 * A worker is its connection. One that says hello under a name that is there already is the same worker come
 * back: jobs that its hello still lists stay with it, the others are given out once more. What a worker says
 * of a job counts only with the token of the attempt that it was given. */

#include "router-private.h"

#include "basic/string-util.h"
#include "proto/json-check.h"
#include "shared/log.h"
#include "shared/message-ids.h"

#include <errno.h>
#include <string.h>

#define PEER_LOG_USEC (200 * USEC_PER_MSEC) /* between two lines about what peers do wrong */

bool worker_is_online(const Worker *worker)
{
        return worker->is_configured && !worker->is_leaving && !worker->is_renewing;
}

size_t worker_free_slots(const Worker *worker)
{
        size_t n_taken = worker->jobs.n_members + worker->foreign.n_members;

        return worker_is_online(worker) && worker->hello.slots > n_taken ? worker->hello.slots - n_taken : 0;
}

bool worker_serves(const Worker *worker, Channel channel, const char *track)
{
        if (worker->hello.channel != channel)
                return false;
        return !worker->hello.topics || !worker->hello.topics[0] ||
               strv_contains(worker->hello.topics, track);
}

static void log_worker(int level, const char *message_id, const Worker *worker, const char *what,
                       const char *why)
{
        _cleanup_free_ char *reason = string_escape(why, strlen(why), LOG_TEXT_MAX);

        log_struct(level,
                   LOG_FIELDS({ "MESSAGE_ID", message_id }, { "PIPELINE_WORKER", worker->hello.name },
                              { "PIPELINE_CHANNEL", channel_to_string(worker->hello.channel) }),
                   "Worker %s of %s %s%s%s", worker->hello.name, channel_to_string(worker->hello.channel),
                   what, why[0] != '\0' ? ": " : "", reason ?: "");
}

/* Life and death */

/* Nothing is given to it any more. */
static void worker_leave(Router *router, Worker *worker)
{
        worker->is_leaving = true;
        worker_leave_seats(worker);
        worker_forget_holders(router, worker);
}

Worker *worker_free(Router *router, Worker *worker)
{
        if (!worker)
                return NULL;
        timer_stop(router, &worker->timer);
        worker_leave_places(router, worker);
        worker_forget_holders(router, worker);
        LIST_FOREACH(Foreign, foreign, &worker->foreign, link)
                foreign_free(router, foreign);
        if (hashmap_get(router->workers, worker->identity, worker->identity_size) == worker)
                (void) hashmap_remove(router->workers, worker->identity, worker->identity_size);
        if (worker->key && hashmap_get_str(router->workers_by_key, worker->key) == worker)
                (void) hashmap_remove_str(router->workers_by_key, worker->key);
        hello_done(&worker->hello);
        configured_done(&worker->configured);
        free(worker->key);
        free(worker);
        return NULL;
}

/* Frees it; its jobs go to others, or end. Giving one out may find that another worker is gone, but frees
 * none. */
static int worker_lose(Router *router, Worker *worker, const char *why)
{
        int r = 0;

        worker_leave(router, worker);
        registry_forget_worker(router, worker);
        while (r == 0 && !list_is_empty(&worker->jobs))
                r = job_retry(router, CONTAINER_OF(list_first(&worker->jobs), RouterJob, in_worker), why);
        worker_free(router, worker);
        return r;
}

static int worker_on_time(Router *router, Timer *timer)
{
        Worker *worker = CONTAINER_OF(timer, Worker, timer);
        const char *why = worker->is_leaving ? "its connection is gone" : "it says nothing any more";

        if (!(worker->principal->roles & ROLE_WORKER))
                why = "it is allowed in no more";
        router->stats.n_workers_lost++;
        log_worker(LOG_WARNING, MSG_ROUTER_WORKER_LOST, worker, "is lost", why);
        return worker_lose(router, worker, "the worker that ran it is lost");
}

static int worker_heard(Router *router, Worker *worker)
{
        worker->heard_usec = router_now(router);
        return timer_set(router, &worker->timer,
                         worker->heard_usec + store_config(router->store)->times.dead_usec);
}

/* Saying */

static int say_to(Router *router, Bytes identity, PeerType type, json_object *body)
{
        _cleanup_(peer_message_done) PeerMessage message = { .type = type, .body = body };
        Bytes frames[1 + PEER_N_FRAMES_MAX] = { identity };
        size_t n;
        int r;

        if (!body)
                return -ENOMEM;
        r = peer_message_frames(&message, frames + 1, &n);
        return r < 0 ? r : router->port.send(router->port.userdata, frames, n + 1);
}

/* It gets nothing any more, and is lost when its timer fires. */
static int worker_dismiss(Router *router, Worker *worker)
{
        worker_leave(router, worker);
        return timer_set(router, &worker->timer, router_now(router));
}

int workers_dismiss_disallowed(Router *router)
{
        int r = 0;

        HASHMAP_FOREACH(Worker, worker, router->workers)
                if (r == 0 && !(worker->principal->roles & ROLE_WORKER))
                        r = worker_dismiss(router, worker);
        return r;
}

int worker_say(Router *router, Worker *worker, PeerType type, json_object *body)
{
        int r = say_to(router, (Bytes){ worker->identity, worker->identity_size }, type, body);

        if (r != ROUTER_GONE)
                return r;
        r = worker_dismiss(router, worker);
        return r < 0 ? r : ROUTER_GONE;
}

int worker_renew(Router *router, Worker *worker, const char *why)
{
        Notice notice = { .error = (char *) why };
        int r;

        if (worker->is_leaving)
                return 0;
        worker->is_renewing = true;
        worker_leave_seats(worker);
        worker_forget_holders(router, worker);
        r = worker_say(router, worker, PEER_REFUSED, notice_to_json(&notice));
        return r < 0 ? r : 0;
}

static int refuse(Router *router, Bytes identity, const char *why)
{
        Notice notice = { .error = (char *) why };
        int r = say_to(router, identity, PEER_REFUSED, notice_to_json(&notice));

        return r < 0 ? r : 0;
}

/* Those who go on and on are told of now and then only. */
static bool may_log_peer(Router *router)
{
        usec_t now = router_now(router);

        if (now < router->next_peer_log_usec)
                return false;
        router->next_peer_log_usec = now + PEER_LOG_USEC;
        return true;
}

static int refuse_worker(Router *router, const Principal *principal, Bytes identity, const Hello *hello,
                         const char *why)
{
        if (may_log_peer(router))
                log_struct(LOG_WARNING, LOG_FIELDS({ "MESSAGE_ID", MSG_ROUTER_WORKER_REFUSED }),
                           "The worker %s of %s is refused: %s", hello->name, principal->name, why);
        return refuse(router, identity, why);
}

/* Borrows everything from the tracks but the arrays. */
static int configure_add(Configure *configure, const StoreTrack *track)
{
        for (size_t i = 0; i < track->versions.n_items; i++) {
                int r = version_list_add(&configure->versions, &track->versions.items[i]);

                if (r < 0)
                        return r;
        }
        configure->settings[configure->n_settings++] = track->settings;
        return 0;
}

int worker_configure(Router *router, Worker *worker)
{
        const StoreConfig *config = store_config(router->store);
        Configure configure = { .serial = ++worker->n_configures,
                                .heartbeat_usec = config->times.heartbeat_usec,
                                .dead_usec = config->times.dead_usec };
        int r = 0;

        configure.settings = calloc(config->n_tracks + 1, sizeof(TrackSettings));
        if (!configure.settings)
                return -ENOMEM;
        for (size_t i = 0; i < config->n_tracks && r == 0; i++)
                if (worker_serves(worker, config->tracks[i]->channel, config->tracks[i]->settings.track))
                        r = configure_add(&configure, config->tracks[i]);
        if (r == 0)
                r = worker_say(router, worker, PEER_CONFIGURE, configure_to_json(&configure));
        version_list_done(&configure.versions);
        free(configure.settings);
        return r < 0 ? r : 0;
}

int workers_configure(Router *router, Channel channel, const char *track)
{
        int r = 0;

        HASHMAP_FOREACH(Worker, worker, router->workers)
                if (r == 0 && worker->hello.channel == channel &&
                    (!track || worker_serves(worker, channel, track)))
                        r = worker_configure(router, worker);
        return r;
}

/* Hello */

/* Takes the hello with success. */
static int worker_new(Router *router, const Principal *principal, Bytes identity, Hello *hello, Worker **ret)
{
        Worker *worker = calloc(1, sizeof(Worker));
        int r;

        if (!worker)
                return -ENOMEM;
        list_init(&worker->jobs);
        list_init(&worker->foreign);
        memcpy(worker->identity, identity.data, identity.size);
        worker->identity_size = identity.size;
        worker->principal = principal;
        worker->timer.fire = worker_on_time;
        worker->hello = *hello;
        *hello = (Hello){};
        worker->key = string_format("%s/%s", channel_to_string(worker->hello.channel), worker->hello.name);
        r = worker->key ? worker_take_places(router, worker) : -ENOMEM;
        if (r == 0)
                r = hashmap_put(router->workers, worker->identity, worker->identity_size, worker);
        if (r == 0)
                r = hashmap_put_str(router->workers_by_key, worker->key, worker);
        if (r < 0) {
                worker_free(router, worker);
                return r;
        }
        *ret = worker;
        return 0;
}

/* Whether the hello says that it still runs, or still has the outcome of, this attempt. */
static bool hello_has_job(const Hello *hello, const RouterJob *job)
{
        for (size_t i = 0; i < hello->n_jobs; i++)
                if (streq(hello->jobs[i].job, job->id) && streq(hello->jobs[i].token, job->token))
                        return true;
        return strv_contains(hello->unacknowledged, job->id);
}

/* The jobs that the worker which has come back still has, to its new self. */
static void worker_inherit(Worker *worker, Worker *before)
{
        LIST_FOREACH(RouterJob, job, &before->jobs, in_worker)
                if (hello_has_job(&worker->hello, job)) {
                        list_remove(&before->jobs, &job->in_worker);
                        list_append(&worker->jobs, &job->in_worker);
                        job->worker = worker;
                }
}

/* Out of the maps, so that another may take its place. */
static Worker *take_out(Router *router, Worker *worker)
{
        if (!worker)
                return NULL;
        (void) hashmap_remove(router->workers, worker->identity, worker->identity_size);
        (void) hashmap_remove_str(router->workers_by_key, worker->key);
        return worker;
}

static int force_restart(Router *router, Bytes identity, const char *key, bool *ret_told)
{
        int r;

        *ret_told = false;
        if (!router->force_worker_restart || hashmap_get_str(router->restarted, key) ||
            hashmap_size(router->restarted) >= N_RESTARTED_MAX)
                return 0;
        *ret_told = true;
        r = hashmap_put_str(router->restarted, key, router);
        return r < 0 ? r
                     : refuse(router, identity,
                              "begin anew: the router was started so that every worker does");
}

/* Who was here under this name or on this connection before is the same, come back. */
static int replace(Router *router, const Principal *principal, Bytes identity, Hello *hello, Worker **ret)
{
        _cleanup_free_ char *key = string_format("%s/%s", channel_to_string(hello->channel), hello->name);
        Worker *before[2] = {};
        int r = key ? 0 : -ENOMEM;

        if (r == 0) {
                before[0] = take_out(router, hashmap_get_str(router->workers_by_key, key));
                before[1] = take_out(router, hashmap_get(router->workers, identity.data, identity.size));
                r = worker_new(router, principal, identity, hello, ret);
        }
        for (size_t i = 0; i < ARRAY_SIZE(before) && r == 0; i++) {
                if (!before[i])
                        continue;
                worker_inherit(*ret, before[i]);
                r = worker_lose(router, before[i], "the worker that ran it was started anew");
        }
        return r;
}

static int admit(Router *router, const Principal *principal, Bytes identity, Hello *hello, const char *key)
{
        const Worker *before = hashmap_get_str(router->workers_by_key, key);
        Worker *worker;
        int r;

        if (!principal_may_be_worker(principal, hello->name))
                return refuse_worker(router, principal, identity, hello,
                                     "not_allowed: this key is not bound to a worker of this name");
        if (before && before->principal != principal)
                return refuse_worker(router, principal, identity, hello,
                                     "a worker of this name belongs to another user");
        r = replace(router, principal, identity, hello, &worker);
        if (r < 0)
                return r;
        log_worker(LOG_INFO, MSG_ROUTER_WORKER_ONLINE, worker, "says hello", "");
        r = worker_note_foreign(router, worker);
        if (r == 0)
                r = worker_heard(router, worker);
        return r < 0 ? r : worker_configure(router, worker);
}

static int on_hello(Router *router, const Principal *principal, Bytes identity, json_object *body,
                    char **ret_error)
{
        _cleanup_(hello_done) Hello hello = {};
        _cleanup_free_ char *key = NULL;
        bool is_told;
        int r = hello_from_json(body, &hello, ret_error);

        if (r != 0)
                return r;
        if (hello.version != PEER_PROTOCOL)
                return refuse_worker(router, principal, identity, &hello,
                                     "this router speaks version 1 of the protocol only");
        key = string_format("%s/%s", channel_to_string(hello.channel), hello.name);
        if (!key)
                return -ENOMEM;
        r = force_restart(router, identity, key, &is_told);
        return r < 0 || is_told ? r : admit(router, principal, identity, &hello, key);
}

/* What else they say */

static int on_configured(Router *router, Worker *worker, const PeerMessage *message, char **ret_error)
{
        Configured configured = {};
        int r = configured_from_json(message->body, &configured, ret_error);

        if (r != 0)
                return r;
        configured_done(&worker->configured);
        worker->configured = configured;
        worker->is_configured = true;
        if (worker->is_leaving || worker->is_renewing)
                return 0;
        r = worker_count_holders(router, worker);
        return r < 0 ? r : worker_feed(router, worker);
}

static int on_heartbeat(Router *router, Worker *worker, const PeerMessage *message, char **ret_error)
{
        Heartbeat heartbeat = {};
        int r = heartbeat_from_json(message->body, &heartbeat, ret_error);

        if (r != 0)
                return r;
        worker->hello.slots = heartbeat.slots;
        worker->heartbeat = heartbeat;
        while (heartbeat.running < worker->foreign.n_members)
                foreign_free(router, CONTAINER_OF(list_first(&worker->foreign), Foreign, link));
        r = worker_say(router, worker, PEER_HEARTBEAT, json_object_new_object());
        return r < 0 ? r : worker_feed(router, worker);
}

static int on_goodbye(Router *router, Worker *worker, const PeerMessage *message, char **ret_error)
{
        _cleanup_(notice_done) Notice notice = {};
        int r = notice_from_json(message->body, &notice, ret_error);

        if (r != 0)
                return r;
        worker_leave(router, worker);
        log_worker(LOG_INFO, MSG_ROUTER_WORKER_LEFT, worker, "leaves", notice.reason ?: "");
        return 0;
}

static int on_answer(Router *router, Worker *worker, const PeerMessage *message, char **ret_error)
{
        _cleanup_(answer_done) Answer answer = {};
        int r = answer_from_json(message->body, &answer, ret_error);

        return r != 0 ? r : registry_on_answer(router, worker, &answer);
}

/* Outcomes */

/* Whether a part is what it must be: with `kind` JSON_KIND_NULL any JSON. */
static bool part_is_valid(Bytes part, bool must_be_object)
{
        JsonReport report;

        return json_check(part.data, part.size, PEER_PART_SIZE_MAX, JSON_CHECK_DEPTH_MAX, &report) == 0 &&
               (!must_be_object || report.kind == JSON_KIND_OBJECT);
}

/* The parts as they go into the reply; an outcome that cannot go into one is the worker's fault. */
static Parts outcome_parts(const Outcome *outcome, const PeerMessage *message)
{
        Bytes response = message->parts[OUTCOME_RESPONSE], context = message->parts[OUTCOME_CONTEXT],
              detail = message->parts[OUTCOME_ERROR_DETAIL];
        bool is_ok = outcome->status_code == STATUS_OK;

        if (message->n_parts != PEER_N_PARTS_MAX || !status_name((unsigned) outcome->status_code) ||
            !part_is_valid(context, true) || (is_ok && !part_is_valid(response, false)) ||
            (detail.size > 0 && !part_is_valid(detail, true)))
                return (Parts){ .code = STATUS_WORKER_ERROR, .error = "the worker's outcome is malformed" };
        return (Parts){
                .code = (StatusCode) outcome->status_code,
                .error = outcome->error,
                .response = is_ok ? response : (Bytes){},
                .context = context,
                .error_detail = detail,
        };
}

static int acknowledge(Router *router, Worker *worker, const Outcome *outcome)
{
        JobRef ref = { .job = outcome->job, .token = outcome->token };
        int r = worker_say(router, worker, PEER_OUTCOME_ACK, job_ref_to_json(&ref));

        return r < 0 ? r : 0;
}

/* Of no attempt under way. A stale one of a job that is known is dropped. */
static int take_stray_outcome(Router *router, Worker *worker, const Outcome *outcome, const Parts *parts,
                              const RouterJob *job)
{
        log_struct(LOG_NOTICE,
                   LOG_FIELDS({ "PIPELINE_JOB", outcome->job }, { "PIPELINE_WORKER", worker->hello.name }),
                   "Outcome of job %s from worker %s is of no attempt under way", outcome->job,
                   worker->hello.name);
        return job ? 0 : resend_take_outcome(router, worker, outcome, parts);
}

/* A worker that failed is as good as one that died: another gets the job. */
static int take_outcome(Router *router, RouterJob *job, const Parts *parts)
{
        if (job->state == JOB_ABANDONED) {
                job_free(router, job);
                return 0;
        }
        if (parts->code == STATUS_NO_WORKER)
                return job_put_off(router, job);
        if (parts->code == STATUS_WORKER_ERROR && job->attempt < N_ATTEMPTS_MAX)
                return job_retry(router, job, parts->error ?: "its worker failed");
        job->is_done = true;
        return job_finish(router, job, parts);
}

static int on_outcome(Router *router, Worker *worker, const PeerMessage *message, char **ret_error)
{
        _cleanup_(outcome_done) Outcome outcome = {};
        RouterJob *job;
        Parts parts;
        int r = outcome_from_json(message->body, &outcome, ret_error);

        if (r != 0)
                return r;
        parts = outcome_parts(&outcome, message);
        job = hashmap_get_str(router->jobs, outcome.job);
        if (job && job->worker == worker && streq(job->token, outcome.token))
                stats_job_used(router, job, outcome.cpu_usec);
        if (!job || job->worker != worker || !streq(job->token, outcome.token))
                r = take_stray_outcome(router, worker, &outcome, &parts, job);
        else
                r = take_outcome(router, job, &parts);
        if (r == 0)
                r = acknowledge(router, worker, &outcome);
        return r < 0 ? r : worker_feed(router, worker);
}

static int on_progress(Router *router, Worker *worker, const PeerMessage *message, char **ret_error)
{
        _cleanup_(progress_done) Progress progress = {};
        const RouterJob *job;
        int r = progress_from_json(message->body, &progress, ret_error);

        if (r != 0)
                return r;
        job = hashmap_get_str(router->jobs, progress.job);
        if (!job || job->worker != worker || job->state != JOB_RUNNING || !streq(job->token, progress.token))
                return 0;
        return job_on_progress(router, job, &progress);
}

static int (*const messages[_PEER_TYPE_MAX])(Router *, Worker *, const PeerMessage *, char **) = {
        [PEER_CONFIGURED] = on_configured, [PEER_OUTCOME] = on_outcome,     [PEER_RESOLVED] = on_answer,
        [PEER_LISTED] = on_answer,         [PEER_HEARTBEAT] = on_heartbeat, [PEER_GOODBYE] = on_goodbye,
        [PEER_PROGRESS] = on_progress,
};

static int dispatch(Router *router, const Principal *principal, Bytes identity, const PeerMessage *message,
                    char **ret_error)
{
        Worker *worker = hashmap_get(router->workers, identity.data, identity.size);
        int r;

        if (message->type == PEER_HELLO)
                return on_hello(router, principal, identity, message->body, ret_error);
        if (!worker || worker->principal != principal)
                return refuse(router, identity, "say hello first");
        if (!messages[message->type])
                return 0;
        r = worker_heard(router, worker);
        return r < 0 ? r : messages[message->type](router, worker, message, ret_error);
}

static int tell_malformed(Router *router, const Principal *principal, const char *error)
{
        _cleanup_free_ char *text = string_escape(error, strlen(error), LOG_TEXT_MAX);

        if (!may_log_peer(router))
                return 0;
        log_struct(LOG_WARNING, LOG_FIELDS({ "MESSAGE_ID", MSG_ROUTER_PEER_MALFORMED }),
                   "A message of %s is malformed and dropped: %s", principal->name, text ?: "");
        return 0;
}

int worker_on_message(Router *router, const Principal *principal, Bytes identity, const Bytes *frames,
                      size_t n_frames)
{
        _cleanup_(peer_message_done) PeerMessage message = {};
        _cleanup_free_ char *error = NULL;
        int r;

        if (!(principal->roles & ROLE_WORKER)) {
                if (may_log_peer(router))
                        log_struct(LOG_WARNING, LOG_FIELDS({ "MESSAGE_ID", MSG_ROUTER_NOT_ALLOWED }),
                                   "%s speaks as a worker, without that role", principal->name);
                return refuse(router, identity, "not_allowed: this needs the role worker");
        }
        r = peer_message_parse(frames, n_frames, &message, &error);
        if (r == 0)
                r = dispatch(router, principal, identity, &message, &error);
        if (r == JSON_BAD)
                return tell_malformed(router, principal, error ?: "");
        return r < 0 ? r : 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of the router's core share. The router owns all workers, jobs, queries and places; lists
 * and queues hold links into them. Nothing is freed while a message of a worker is being sent: a worker that
 * turns out to be gone has its timer set to now, and is let go when that fires. */

#include "router.h"

#include "basic/hashmap.h"
#include "basic/list.h"
#include "basic/prioq.h"
#include "proto/reply.h"
#include "shared/openmetrics.h"

#define JOB_ID_SIZE      33U
#define TOKEN_SIZE       17U
#define RESEND_KEY_SIZE  65U
#define N_ATTEMPTS_MAX   2U
#define N_QUERIES_MAX    256U
#define IDENTITY_MAX     255U /* of ZeroMQ */
#define ANSWER_CODES_MAX 600U
#define LOG_TEXT_MAX     200U /* of a worker's words in a line of the log */
#define N_RESTARTED_MAX  4096U
#define CODE_MIN         200U /* of jobs that have ended */
#define N_CODES          400U
#define QUEUE_RESERVED   4U /* one part of so many of a track's queue is for others than who has the rest */

/* Something that happens at a time; embedded in its owner. */
typedef struct Timer Timer;
struct Timer {
        PrioqLink link;
        int (*fire)(Router *router, Timer *timer);
};

typedef struct Account Account;

/* A client that waits for an answer. */
typedef struct Ask {
        uint8_t identity[IDENTITY_MAX];
        size_t identity_size;
        const Principal *principal;
        Request request; /* owned; its body is gone once it waits */
        char *text;      /* what it was read from, for a failure; NULL where it was none or is too large */
        usec_t start_realtime, start_usec;
        size_t charge;                      /* to router->memory_size */
        Account *accounts[_PEER_SCOPE_MAX]; /* of who asked */
        unsigned generation;                /* router->generation when it came */
        ListLink link;                      /* in its job */
} Ask;

/* Where jobs and workers meet: a track of a channel, or a channel as a whole (generic workers). A track's
 * place is there as long as a job or a worker refers to it. */
typedef struct Place {
        char *key; /* in router->places; NULL: of a channel */
        size_t n_refs;
        List idle;  /* Seat, least recently used first */
        List lines; /* Line, whose turn is next first */
        size_t n_waiting, n_workers;
} Place;

/* The jobs of one principal that wait at a place. */
typedef struct Line {
        Place *place;
        const Principal *principal;
        List jobs;     /* Stand, oldest first */
        ListLink link; /* in place->lines */
} Line;

typedef struct RouterJob RouterJob;

/* Where a job stands that waits. */
typedef struct Stand {
        RouterJob *job;
        Line *line; /* NULL: it does not */
        ListLink link;
} Stand;

/* A version of a track, and how many online workers hold it or are about to. It is there as long as a job or
 * a worker refers to it. */
typedef struct Holder {
        char *key; /* in router->holders */
        size_t n_refs, n_workers;
} Holder;

typedef struct Worker Worker;

/* A job that a worker runs for a router that is no more. Who sends that request again joins it. */
typedef struct Foreign {
        char job[JOB_ID_SIZE], token[TOKEN_SIZE], resend_key[RESEND_KEY_SIZE];
        Worker *worker;
        ListLink link; /* in worker->foreign */
} Foreign;

typedef struct Seat {
        Worker *worker;
        Place *place;
        ListLink link; /* in place->idle */
} Seat;

struct Worker {
        uint8_t identity[IDENTITY_MAX];
        size_t identity_size;
        char *key; /* "CHANNEL/NAME" */
        const Principal *principal;
        Hello hello;
        Configured configured;
        uint64_t n_configures; /* that it was sent */
        Seat *seats;           /* one a topic, or one for all */
        size_t n_seats;
        List jobs;        /* it runs: in_worker */
        List foreign;     /* Foreign, owned */
        Holder **holders; /* while it is online: of what it holds or installs */
        size_t n_holders;
        Heartbeat heartbeat; /* the last */
        bool is_configured, is_leaving;
        bool is_renewing; /* told to begin anew: nothing is given to it before its next hello */
        usec_t heard_usec;
        Timer timer; /* it is dead then */
};

typedef enum JobState {
        JOB_WAITING, /* for a worker */
        JOB_RUNNING,
        JOB_ABANDONED, /* answered, its worker still at it */
} JobState;

/* The jobs of one client's id: what `cancel` speaks of. */
typedef struct ClientJobs {
        char *key; /* in router->jobs_by_client */
        List jobs; /* in_client */
} ClientJobs;

struct RouterJob {
        char id[JOB_ID_SIZE], token[TOKEN_SIZE], resend_key[RESEND_KEY_SIZE];
        JobState state;
        unsigned attempt;
        Ask *ask; /* the first: its request is the job; in `asks` too */
        List asks;
        bool is_kept_by_key; /* in router->jobs_by_key */
        bool is_done;        /* its worker has said what came of it */
        Place *track, *channel;
        Holder *holder; /* of its version */
        Stand in_track, in_channel;
        ClientJobs *client; /* NULL once it is answered */
        ListLink in_client;
        Worker *worker;
        ListLink in_worker;
        Limits limits;
        usec_t build_usec; /* 0: it is no build */
        usec_t queue_deadline, deadline;
        Timer timer;
};

/* The answer of a job, kept for those who send again. */
typedef struct Kept {
        char key[RESEND_KEY_SIZE];
        /* Who said it, where that was a worker of whose job this router knew nothing: it counts for jobs
         * only that this worker could have been given. */
        bool is_claimed;
        Channel channel;
        char **topics; /* NULL: any */
        StatusCode code;
        char *error;
        Buffer parts[PEER_N_PARTS_MAX];
        size_t size;
        ListLink link; /* oldest first */
} Kept;

/* Questions about the registry that a deploy or a list waits for. */
typedef struct RegistryQuery {
        char id[TOKEN_SIZE];
        Ask *ask;
        VersionList versions; /* those asked for, resolved so far */
        Worker *worker;       /* NULL once it is lost */
        usec_t deadline;
        Timer timer;
} RegistryQuery;

typedef enum PeerLimit {
        PEER_LIMIT_REQUESTS,
        PEER_LIMIT_MEMORY,
        PEER_LIMIT_RATE,
        _PEER_LIMIT_MAX,
} PeerLimit;

/* What has happened since the start; router-stats.c. */
typedef struct TrackStats TrackStats;

typedef struct Stats {
        List tracks; /* owned */
        Hashmap *by_name;
        Histogram waited[_CHANNEL_MAX]; /* until a worker got it */
        uint64_t n_retried, n_workers_lost;
        uint64_t n_limited[_PEER_SCOPE_MAX][_PEER_LIMIT_MAX];
} Stats;

struct Router {
        RouterPort port;
        Store *store; /* borrowed */
        bool force_worker_restart;
        Hashmap *workers; /* by identity */
        Hashmap *workers_by_key;
        Hashmap *jobs;           /* by id */
        Hashmap *jobs_by_key;    /* by resend key */
        Hashmap *jobs_by_client; /* ClientJobs, by principal and id */
        Hashmap *foreign;        /* of workers, by resend key */
        Hashmap *holders;        /* by "CHANNEL/TRACK/VERSION" */
        Hashmap *places;         /* by "CHANNEL/TRACK" */
        Hashmap *lines;          /* by place and principal */
        Hashmap *queries;        /* by id */
        Hashmap *kept;           /* by resend key */
        Hashmap *restarted;      /* keys of workers that were told to start anew; values are the router */
        usec_t next_peer_log_usec;
        Hashmap *accounts; /* router-peer.c */
        List idle_accounts;
        List kept_order;
        size_t kept_size, memory_size, n_asks;
        Place channels[_CHANNEL_MAX];
        Prioq timers;
        /* Until then, workers of the router before this one are still coming back. */
        usec_t settled_usec;
        unsigned generation;  /* of asks: another one begins when a restart is asked for */
        size_t n_asks_before; /* of generations before this one, while a restart waits for them */
        Timer restart;
        size_t n_waiting, n_running;
        uint64_t n_answered[ANSWER_CODES_MAX];
        Stats stats;
        usec_t start_usec;
};

/* An answer, but for what belongs to who asked. */
typedef struct Parts {
        StatusCode code;
        const char *error;
        Bytes response, context, error_detail;
} Parts;

usec_t router_now(const Router *router);
int timer_set(Router *router, Timer *timer, usec_t usec) _warn_unused_;
void timer_stop(Router *router, Timer *timer);
/* A restart that was asked for happens once what was asked before is answered, but not long after. */
int router_restart_soon(Router *router) _warn_unused_;

/* router-place.c: where jobs and workers meet. Each `get` adds a reference; NULL without memory. */
Place *place_get(Router *router, Channel channel, const char *track);
Place *place_unref(Router *router, Place *place);
Holder *holder_get(Router *router, Channel channel, const char *track, const char *version);
Holder *holder_unref(Router *router, Holder *holder);
void places_init(Router *router);
/* Takes a seat at each place where it finds jobs. */
int worker_take_places(Router *router, Worker *worker) _warn_unused_;
void worker_leave_places(Router *router, Worker *worker);
void worker_leave_seats(Worker *worker);
/* Least recently used first: whoever got a job goes to the end of the lists, or out of them where it has no
 * slot left. */
void worker_take_seats(Worker *worker);
/* Counts it, or counts it no more, at the versions it holds or installs. */
int worker_count_holders(Router *router, Worker *worker) _warn_unused_;
void worker_forget_holders(Router *router, Worker *worker);
/* The idle worker that is to have the job: one of its track before a generic one; or NULL. */
Worker *job_pick_worker(const RouterJob *job);
/* The job that has waited longest of those that the worker is to have; or NULL. */
RouterJob *worker_pick_job(const Worker *worker);
bool job_has_workers(const RouterJob *job);

/* router-queue.c: jobs that wait */
int queue_enter(Router *router, RouterJob *job) _warn_unused_;
/* Does nothing where it does not wait. `is_served`: the turn of its principal is over. */
void queue_leave(Router *router, RouterJob *job, bool is_served);
/* Whether one more of its principal may wait for the track. */
bool queue_has_room(const Router *router, const RouterJob *job);

/* router-answer.c: to clients */
/* Takes the request; `text` is what it was read from. */
int ask_new(Router *router, const Principal *principal, Bytes identity, Bytes text, Request *request,
            Ask **ret) _warn_unused_;
/* It will not be answered at once: what lies for long is its text, not the many times larger tree. */
void ask_let_lie(Ask *ask);
Ask *ask_free(Router *router, Ask *ask);
/* Sends the answer; who is gone gets none. The ask stays. */
int ask_answer(Router *router, const Ask *ask, const Parts *parts) _warn_unused_;
/* The same with texts: `detail` is a JSON object, taken; NULL: nothing to add. */
int ask_fail(Router *router, const Ask *ask, StatusCode code, const char *error,
             json_object *detail) _warn_unused_;
/* Says how far it is; the answer is still to come. */
int ask_tell(Router *router, const Ask *ask, const Progress *progress) _warn_unused_;
/* 200 with a response, which is taken; NULL: there was no memory for it. */
int ask_succeed(Router *router, const Ask *ask, json_object *response) _warn_unused_;

/* router-peer.c */
/* Counts what somebody asks for, and that it is over. */
int peer_enter(Router *router, Ask *ask) _warn_unused_;
void peer_leave(Router *router, Ask *ask);
/* Whether it is within the limits of who asks. `waits`: it will not be answered at once. 0;
 * PEER_REFUSED_IT: not, and that was answered. */
enum {
        PEER_REFUSED_IT = 1,
};
int peer_check(Router *router, Ask *ask, bool waits) _warn_unused_;
void peer_forget_all(Router *router);

/* router-stats.c */
int stats_init(Stats *stats) _warn_unused_;
void stats_done(Stats *stats);
void stats_job_given(Router *router, const RouterJob *job);
void stats_job_ended(Router *router, const RouterJob *job, StatusCode code);
void stats_job_used(Router *router, const RouterJob *job, usec_t cpu_usec);

/* router-job.c */
/* Takes the ask, whatever comes of it. */
int job_accept(Router *router, Ask *ask) _warn_unused_;
/* Ends it: its clients are answered, its answer is kept where it may be asked for again. Frees the job,
 * unless its worker is still at it. */
int job_finish(Router *router, RouterJob *job, const Parts *parts) _warn_unused_;
/* Its worker is done with it: the slot is free. */
void job_leave_worker(RouterJob *job);
/* The worker it was at is lost: once more, if time allows. */
int job_retry(Router *router, RouterJob *job, const char *why) _warn_unused_;
/* Its worker cannot take it at this moment: in a while, to whoever is idle then. */
int job_put_off(Router *router, RouterJob *job) _warn_unused_;
/* Tells those who want to know. */
int job_on_progress(Router *router, const RouterJob *job, const Progress *progress) _warn_unused_;
int job_cancel_all(Router *router, const Ask *ask, size_t *ret_n) _warn_unused_;
RouterJob *job_free(Router *router, RouterJob *job);
/* It turns out that a worker runs it already, for a router that is no more. Takes the foreign. */
int job_adopt(Router *router, RouterJob *job, Foreign *foreign) _warn_unused_;
/* Gives a worker what waits for it, up to its free slots. */
int worker_feed(Router *router, Worker *worker) _warn_unused_;

/* router-resend.c: requests that are sent again */
/* SHA-256 of who asks for what, in hexadecimal digits. */
int resend_key(const Ask *ask, char *ret) _warn_unused_;
/* Keeps an answer, where it is one that stands. `claimant`: the worker that says so of a
 * job nobody knows. */
int kept_put(Router *router, const char *key, const Parts *parts, const Worker *claimant) _warn_unused_;
Kept *kept_free(Router *router, Kept *kept);
/* 0 where the request must be run, 1 where it was answered or has joined its running job: then the ask is
 * taken. */
int resend_join(Router *router, Ask *ask, const char *key) _warn_unused_;
/* What the worker's hello says of jobs that this router does not know. */
int worker_note_foreign(Router *router, Worker *worker) _warn_unused_;
Foreign *foreign_free(Router *router, Foreign *foreign);
/* Binds a job to the worker that runs it already; false where none does. */
int resend_adopt(Router *router, RouterJob *job, bool *ret_is_adopted) _warn_unused_;
/* The outcome of a job that this router does not know. */
int resend_take_outcome(Router *router, Worker *worker, const Outcome *outcome,
                        const Parts *parts) _warn_unused_;

/* router-worker.c */
int worker_on_message(Router *router, const Principal *principal, Bytes identity, const Bytes *frames,
                      size_t n_frames) _warn_unused_;
/* Sends; takes `body` (NULL: there was no memory for it). 0, ROUTER_GONE, < 0. */
int worker_say(Router *router, Worker *worker, PeerType type, json_object *body) _warn_unused_;
int worker_configure(Router *router, Worker *worker) _warn_unused_;
/* Those of a channel that serve the track; NULL: all. */
int workers_configure(Router *router, Channel channel, const char *track) _warn_unused_;
/* Tells it to begin anew: its next hello says what it is at. */
int worker_renew(Router *router, Worker *worker, const char *why) _warn_unused_;
/* Lets those go whose principal has the role no more. */
int workers_dismiss_disallowed(Router *router) _warn_unused_;
bool worker_serves(const Worker *worker, Channel channel, const char *track);
bool worker_is_online(const Worker *worker);
size_t worker_free_slots(const Worker *worker);
Worker *worker_free(Router *router, Worker *worker);

/* router-registry.c: what is answered after a worker has looked into the registry. Each takes the ask. */
int registry_deploy(Router *router, Ask *ask) _warn_unused_;
int registry_list(Router *router, Ask *ask) _warn_unused_;
int registry_on_answer(Router *router, Worker *worker, const Answer *answer) _warn_unused_;
void registry_forget_worker(Router *router, const Worker *worker);
RegistryQuery *registry_query_free(Router *router, RegistryQuery *query);
/* {"container_versions": …}; NULL without memory. */
json_object *container_versions(const Router *router);

/* router-describe.c: each takes the ask. */
int describe_jobs(Router *router, Ask *ask) _warn_unused_;
int router_status(Router *router, Ask *ask) _warn_unused_;

/* router-action.c: takes the ask. */
int action_run(Router *router, Ask *ask) _warn_unused_;

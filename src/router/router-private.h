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

#define JOB_ID_SIZE      33U
#define TOKEN_SIZE       17U
#define RESEND_KEY_SIZE  65U
#define N_ATTEMPTS_MAX   2U
#define N_QUERIES_MAX    256U
#define IDENTITY_MAX     255U /* of ZeroMQ */
#define ANSWER_CODES_MAX 600U

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
        Request request; /* owned */
        usec_t start_realtime, start_usec;
        size_t charge;                      /* to router->memory_size */
        Account *accounts[_PEER_SCOPE_MAX]; /* of who asked */
        ListLink link;                      /* in its job */
} Ask;

/* Where jobs and workers meet: a track of a channel, or a channel as a whole (generic workers). */
typedef struct Place {
        List idle;    /* Seat, least recently used first */
        List waiting; /* jobs, oldest first: in_track or in_channel */
        size_t n_workers;
} Place;

typedef struct Worker Worker;

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
        Seat *seats; /* one a topic, or one for all */
        size_t n_seats;
        List jobs;        /* it runs: in_worker */
        size_t n_foreign; /* jobs it runs for a router that is no more */
        bool is_configured, is_leaving;
        usec_t heard_usec;
        Timer timer; /* it is dead then */
};

typedef enum JobState {
        JOB_WAITING, /* for a worker */
        JOB_RUNNING,
        JOB_ABANDONED, /* answered, its worker still at it */
} JobState;

typedef struct RouterJob {
        char id[JOB_ID_SIZE], token[TOKEN_SIZE], resend_key[RESEND_KEY_SIZE];
        JobState state;
        unsigned attempt;
        Ask *ask; /* the first: its request is the job; in `asks` too */
        List asks;
        bool is_kept_by_key; /* in router->jobs_by_key */
        bool is_done;        /* its worker has said what came of it */
        Place *track, *channel;
        ListLink in_track, in_channel;
        Worker *worker;
        ListLink in_worker;
        Limits limits;
        usec_t queue_deadline, deadline;
        Timer timer;
} RouterJob;

/* The answer of a job, kept for those who send again. */
typedef struct Kept {
        char key[RESEND_KEY_SIZE];
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
        VersionList versions; /* those to be deployed, resolved so far */
        Worker *worker;       /* NULL once it is lost */
        Timer timer;
} RegistryQuery;

struct Router {
        RouterPort port;
        Store *store; /* borrowed */
        bool force_worker_restart;
        Hashmap *workers; /* by identity */
        Hashmap *workers_by_key;
        Hashmap *jobs;        /* by id */
        Hashmap *jobs_by_key; /* by resend key */
        Hashmap *places;      /* by "CHANNEL/TRACK" */
        Hashmap *queries;     /* by id */
        Hashmap *kept;        /* by resend key */
        Hashmap *restarted;   /* keys of workers that were told to start anew; values are the router */
        Hashmap *accounts;    /* router-peer.c */
        List idle_accounts;
        List kept_order;
        size_t kept_size, memory_size;
        Place channels[_CHANNEL_MAX];
        Prioq timers;
        size_t n_waiting, n_running;
        uint64_t n_answered[ANSWER_CODES_MAX];
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
/* The place of a track, made where there is none; NULL without memory. */
Place *router_place(Router *router, Channel channel, const char *track);

/* router-answer.c: to clients */
int ask_new(Router *router, const Principal *principal, Bytes identity, Request *request,
            Ask **ret) _warn_unused_;
Ask *ask_free(Router *router, Ask *ask);
/* Sends the answer; who is gone gets none. The ask stays. */
int ask_answer(Router *router, const Ask *ask, const Parts *parts) _warn_unused_;
/* The same with texts: `detail` is a JSON object, taken; NULL: nothing to add. */
int ask_fail(Router *router, const Ask *ask, StatusCode code, const char *error,
             json_object *detail) _warn_unused_;
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
int job_cancel_all(Router *router, const Ask *ask, size_t *ret_n) _warn_unused_;
RouterJob *job_free(Router *router, RouterJob *job);
/* Gives a worker what waits for it, up to its free slots. */
int worker_feed(Router *router, Worker *worker) _warn_unused_;
int kept_put(Router *router, const char *key, const Parts *parts) _warn_unused_;
Kept *kept_free(Router *router, Kept *kept);

/* router-worker.c */
int worker_on_message(Router *router, const Principal *principal, Bytes identity, const Bytes *frames,
                      size_t n_frames) _warn_unused_;
/* Sends; takes `body` (NULL: there was no memory for it). 0, ROUTER_GONE, < 0. */
int worker_say(Router *router, Worker *worker, PeerType type, json_object *body) _warn_unused_;
int worker_configure(Router *router, Worker *worker) _warn_unused_;
int workers_configure(Router *router, Channel channel) _warn_unused_;
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

/* router-action.c: takes the ask. */
int action_run(Router *router, Ask *ask) _warn_unused_;

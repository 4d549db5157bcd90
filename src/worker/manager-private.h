/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The manager's own: what its files share. It is state in one struct; manager.c is its life, manager-say.c
 * what the router is told, manager-hear.c what the router says, manager-jobs.c the jobs that run,
 * manager-registry.c what the router wants to know of the registry. */

#include "manager.h"

#include "canary.h"
#include "holdings.h"
#include "outcome-store.h"
#include "router-link.h"
#include "run.h"
#include "sandbox-status.h"

#include "basic/list.h"

struct Manager {
        sd_event *event; /* borrowed, like the next */
        const WorkerSettings *settings;
        ManagerOptions options;
        int lock_fd;
        RouterLink *link;
        Holdings *holdings;
        Canary *canary;
        OutcomeStore *outcomes;
        CurlSource *curl;
        AwsIdentity *identity;
        S3Client *s3; /* NULL: this libcurl cannot */
        RunHost run_host;
        SandboxStatus *sandbox;
        List tasks;     /* the jobs that run; owns its members, like the next */
        List questions; /* that the registry was asked */
        sd_event_source *status, *patience, *hello_again, *last_acks;
        bool status_is_stale;
        uint64_t configure_serial;
        bool is_configured;  /* the router of this connection has said what to hold */
        bool was_configured; /* a router has */
        bool is_ready, is_draining;
};

/* manager.c */

void manager_show_status(Manager *m);
/* How many jobs this worker may be given at once: none while its canary does not sing. */
uint64_t manager_slots(const Manager *m);
/* Every version was tried: a worker is ready, and one that was only to configure is done. */
int manager_when_settled(Manager *m) _warn_unused_;
/* Ends a worker that was told to, once nothing runs any more and all is acknowledged, or was given time to
 * be. */
int manager_when_drained(Manager *m) _warn_unused_;

/* manager-say.c */

int manager_say_hello(Manager *m) _warn_unused_;
int manager_say_configured(Manager *m) _warn_unused_;
int manager_say_heartbeat(Manager *m) _warn_unused_;
int manager_say_goodbye(Manager *m, const char *reason) _warn_unused_;
int manager_say_outcome(Manager *m, const OutcomeText *text) _warn_unused_;
/* Nothing is kept of it: who is not there does not hear it. */
int manager_say_progress(Manager *m, const Progress *progress) _warn_unused_;
/* Those that no router has acknowledged: that of a new connection may not know them. */
int manager_say_kept_outcomes(Manager *m) _warn_unused_;

/* manager-hear.c */

extern const RouterLinkHandlers manager_link_handlers;
/* Of the timer after a refusal. */
int manager_on_hello_again(sd_event_source *source, uint64_t usec, void *userdata);

/* manager-jobs.c; the first three hear the router: 0, JSON_BAD with what is wrong, or -errno. */

int manager_on_job(Manager *m, json_object *body, char **ret_error) _warn_unused_;
int manager_on_cancel(Manager *m, json_object *body, char **ret_error) _warn_unused_;
int manager_on_outcome_ack(Manager *m, json_object *body, char **ret_error) _warn_unused_;
/* Adds the running jobs to a hello; what is added is borrowed, the array is not. */
int manager_describe_jobs(const Manager *m, JobRef **ret, size_t *ret_n) _warn_unused_;
/* How long until the last of them is over, whatever happens. */
usec_t manager_longest_job(const Manager *m);
/* Ends all that run. */
void manager_drop_jobs(Manager *m);

/* manager-registry.c; hear the router, as above. */

int manager_on_resolve(Manager *m, json_object *body, char **ret_error) _warn_unused_;
int manager_on_list(Manager *m, json_object *body, char **ret_error) _warn_unused_;
void manager_drop_questions(Manager *m);

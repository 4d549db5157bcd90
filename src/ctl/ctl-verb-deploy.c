/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pipelinectl deploy: a version that the workers shall hold, and how far each of them is. */

#include "ctl-ask.h"
#include "ctl-deploy.h"
#include "ctl-verbs.h"
#include "ctl-workers.h"

#include "basic/parse-util.h"
#include "basic/string-util.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define POLL_USEC (300 * USEC_PER_MSEC)
/* The router asks a worker, who asks the registry. */
#define DEPLOY_TIMEOUT_USEC (60 * USEC_PER_SEC)

/* What is to be deployed, and what was shown of it. */
typedef struct Deploy {
        const Ctl *ctl;
        const CtlVerb *verb;
        const char *channel, *track, *version;
        char **shown; /* "WORKER: STATE" */
} Deploy;

/* Shows a worker's state when it is new; of what it fetches every tenth. */
static int show_progress(Deploy *deploy, const CtlWorker *worker, const char *state, const char *error)
{
        int percent = ctl_worker_percent(worker, deploy->track, deploy->version);
        _cleanup_free_ char *name = ctl_safe(worker->name), *why = error ? ctl_safe(error) : NULL;
        _cleanup_free_ char *share = percent < 0 ? strdup("") : string_format(" %d %%", percent / 10 * 10);
        _cleanup_free_ char *line =
                string_format("%s: %s%s%s%s", name, state, share ?: "", why ? ": " : "", why ?: "");
        bool is_held = streq(state, "held");

        if (!line)
                return -ENOMEM;
        if (strv_contains(deploy->shown, line))
                return 0;
        if (!deploy->ctl->json) {
                printf("%s%s%s\n",
                       ctl_style(deploy->ctl, error     ? CTL_BAD
                                              : is_held ? CTL_GOOD
                                                        : CTL_NORMAL),
                       line, ctl_style(deploy->ctl, CTL_NORMAL));
                (void) fflush(stdout);
        }
        return strv_extend(&deploy->shown, line);
}

typedef struct Tally {
        size_t n_workers, n_held, n_failed;
} Tally;

static int take_worker(Deploy *deploy, json_object *info, Tally *progress)
{
        CtlWorker worker = ctl_worker(info);
        const char *error, *state;

        if (!worker.is_online || !ctl_worker_serves(&worker, deploy->channel, deploy->track))
                return 0;
        state = ctl_worker_state(&worker, deploy->track, deploy->version, &error) ?: "told";
        progress->n_workers++;
        progress->n_held += streq(state, "held");
        progress->n_failed += error != NULL;
        return show_progress(deploy, &worker, state, error);
}

static int look(Deploy *deploy, Tally *ret)
{
        _cleanup_(client_reply_done) ClientReply reply = {};
        Tally progress = {};
        json_object *workers;
        int r;

        r = ctl_ask_ok(deploy->ctl, deploy->verb, ctl_request("describe_workers"), CTL_ASK_TIMEOUT_USEC,
                       &reply);
        if (r != 0)
                return r;
        workers = json_object_object_get(ctl_response(&reply), "workers_info");
        for (size_t i = 0;
             json_object_is_type(workers, json_type_array) && i < json_object_array_length(workers); i++) {
                r = take_worker(deploy, json_object_array_get_idx(workers, i), &progress);
                if (r < 0)
                        return r;
        }
        *ret = progress;
        return 0;
}

/* Until every worker of the track holds it, or each that does not has failed. */
static int wait_for_workers(Deploy *deploy, usec_t timeout_usec)
{
        usec_t end = now_usec(CLOCK_MONOTONIC) + timeout_usec;

        for (;;) {
                Tally progress;
                int r = look(deploy, &progress);

                if (r != 0)
                        return r;
                if (progress.n_workers > 0 && progress.n_held == progress.n_workers)
                        return CTL_OK;
                if (progress.n_failed > 0 && progress.n_held + progress.n_failed == progress.n_workers)
                        return ctl_fail(
                                deploy->verb, CTL_FAILED,
                                "%zu of %zu workers could not install %s; they try again by themselves",
                                progress.n_failed, progress.n_workers, deploy->version);
                if (now_usec(CLOCK_MONOTONIC) >= end)
                        return ctl_fail(deploy->verb, CTL_FAILED,
                                        "after %" PRIu64 " s %zu of %zu workers hold %s%s",
                                        timeout_usec / USEC_PER_SEC, progress.n_held, progress.n_workers,
                                        deploy->version,
                                        progress.n_workers > 0
                                                ? ""
                                                : "; `systemctl start pipeline-worker@TRACK-1` starts "
                                                  "one");
                (void) usleep(POLL_USEC);
        }
}

static void deploy_done(Deploy *deploy)
{
        strv_free(deploy->shown);
}

int ctl_deploy(const Ctl *ctl, const CtlVerb *verb, const CtlDeploy *what, ClientReply *ret)
{
        _cleanup_(deploy_done) Deploy deploy = { .ctl = ctl,
                                                 .verb = verb,
                                                 .channel = what->channel,
                                                 .track = what->track,
                                                 .version = what->version };
        int r = ctl_ask_ok(
                ctl, verb,
                ctl_version_request("deploy_container_version", what->channel, what->track, what->version),
                DEPLOY_TIMEOUT_USEC, ret);

        return r == 0 && what->wait_usec > 0 ? wait_for_workers(&deploy, what->wait_usec) : r;
}

static int run_deploy(Ctl *ctl, const CtlVerb *verb, int argc, char **argv)
{
        _cleanup_(client_reply_done) ClientReply reply = {};
        usec_t timeout_usec = CTL_DEPLOY_WAIT_USEC;
        const char *timeout = NULL;
        bool wait = false;
        const CtlOption own[] = {
                { "wait", CTL_FLAG, &wait, NULL, "until every worker of the track holds it" },
                { "timeout", CTL_TEXT, &timeout, "TIME", "how long to wait; 10 minutes" },
        };
        CtlDeploy what = {};
        int r;

        r = ctl_parse(ctl, verb, argc, argv, own, ARRAY_SIZE(own), &argc);
        if (r == 0 && timeout && parse_time_span(timeout, &timeout_usec) < 0)
                r = ctl_fail(verb, CTL_USAGE, "%s is no time; one looks like 20 or 1.5min", timeout);
        if (r != 0)
                return r;
        what = (CtlDeploy){ ctl_channel(argv[1]), argv[2], argv[3], wait ? timeout_usec : 0 };
        if (!what.channel)
                return ctl_fail(verb, CTL_USAGE, CTL_NO_CHANNEL, argv[1]);
        r = ctl_deploy(ctl, verb, &what, &reply);
        if (r == 0 && ctl->json)
                ctl_print_json(ctl_response(&reply));
        return r;
}

const CtlVerb ctl_verb_deploy = {
        .name = "deploy",
        .arguments = "CHANNEL TRACK VERSION",
        .summary = "Have the workers hold a version that was pushed",
        .run = run_deploy,
};

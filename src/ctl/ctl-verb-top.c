/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pipelinectl top: the router and its jobs, again and again on a terminal, once anywhere else. */

#include "ctl-ask.h"
#include "ctl-overview.h"
#include "ctl-verbs.h"

#include "basic/parse-util.h"

#include <errno.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define INTERVAL_USEC     USEC_PER_SEC
#define INTERVAL_MIN_USEC (100 * USEC_PER_MSEC)
#define LINES_DEFAULT     24
#define LINES_OF_HEAD     7 /* what is no row of the jobs' table */
#define CLEAR             "\033[H\033[J"

/* How many jobs fit below the head. */
static size_t rows_of_terminal(void)
{
        struct winsize size = {};
        int lines = LINES_DEFAULT;

        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0)
                lines = size.ws_row;
        return (size_t) MAX(lines - LINES_OF_HEAD, 1);
}

static int show_as_json(json_object *status, json_object *jobs)
{
        _cleanup_json_ json_object *both = json_object_new_object();

        if (!both || json_add(both, "router_status", json_object_get(status)) < 0 ||
            json_add(both, "jobs_info", json_object_get(jobs)) < 0)
                return -ENOMEM;
        ctl_print_json(both);
        return 0;
}

static int show_once(const Ctl *ctl, const CtlVerb *verb, bool is_live)
{
        _cleanup_(client_reply_done) ClientReply status = {}, jobs = {};
        json_object *figures, *list;
        int r = ctl_ask_ok(ctl, verb, ctl_request("router_status"), CTL_ASK_TIMEOUT_USEC, &status);

        if (r == 0)
                r = ctl_ask_ok(ctl, verb, ctl_request("describe_jobs"), CTL_ASK_TIMEOUT_USEC, &jobs);
        if (r != 0)
                return r;
        figures = json_object_object_get(ctl_response(&status), "router_status");
        list = json_object_object_get(ctl_response(&jobs), "jobs_info");
        if (ctl->json)
                return show_as_json(figures, list);
        if (is_live)
                printf(CLEAR);
        ctl_print_status(ctl, figures);
        printf("\n");
        r = ctl_print_jobs(ctl, list, is_live ? rows_of_terminal() : SIZE_MAX);
        (void) fflush(stdout);
        return r;
}

static int run_top(Ctl *ctl, const CtlVerb *verb, int argc, char **argv)
{
        const char *interval = NULL;
        const CtlOption own[] = {
                { "interval", CTL_TEXT, &interval, "TIME", "how often it is shown anew (1s)" },
        };
        usec_t usec = INTERVAL_USEC;
        bool is_live;
        int r = ctl_parse(ctl, verb, argc, argv, own, ARRAY_SIZE(own), &argc);

        if (r != 0)
                return r;
        if (interval && (parse_time_span(interval, &usec) < 0 || usec < INTERVAL_MIN_USEC))
                return ctl_fail(verb, CTL_USAGE, "%s is no time of 100 ms or more", interval);
        is_live = isatty(STDOUT_FILENO) == 1 && !ctl->json;
        do {
                r = show_once(ctl, verb, is_live);
                if (is_live && r == 0)
                        (void) usleep((useconds_t) usec);
        } while (is_live && r == 0);
        return r;
}

const CtlVerb ctl_verb_top = {
        .name = "top",
        .arguments = "",
        .summary = "The router and its jobs, live",
        .run = run_top,
};

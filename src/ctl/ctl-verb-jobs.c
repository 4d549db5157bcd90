/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pipelinectl jobs: what runs and what waits. */

#include "ctl-ask.h"
#include "ctl-overview.h"
#include "ctl-verbs.h"

#include <stdio.h>

static int run_jobs(Ctl *ctl, const CtlVerb *verb, int argc, char **argv)
{
        _cleanup_(client_reply_done) ClientReply reply = {};
        json_object *response;
        int r;

        r = ctl_parse(ctl, verb, argc, argv, NULL, 0, &argc);
        if (r == 0)
                r = ctl_ask_shown(ctl, verb, ctl_request("describe_jobs"), &reply);
        if (r != 0 || ctl->json)
                return r;
        response = ctl_response(&reply);
        r = ctl_print_jobs(ctl, json_object_object_get(response, "jobs_info"), SIZE_MAX);
        if (r == 0 && json_object_get_boolean(json_object_object_get(response, "is_cut")))
                printf("There are more; `pipelinectl status` counts them.\n");
        return r < 0 ? r : CTL_OK;
}

const CtlVerb ctl_verb_jobs = {
        .name = "jobs",
        .arguments = "",
        .summary = "Which jobs run, and which wait",
        .run = run_jobs,
};

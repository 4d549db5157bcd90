/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pipelinectl status: how the router is, in four lines. */

#include "ctl-ask.h"
#include "ctl-overview.h"
#include "ctl-verbs.h"

static int run_status(Ctl *ctl, const CtlVerb *verb, int argc, char **argv)
{
        _cleanup_(client_reply_done) ClientReply reply = {};
        int r;

        r = ctl_parse(ctl, verb, argc, argv, NULL, 0, &argc);
        if (r == 0)
                r = ctl_ask_shown(ctl, verb, ctl_request("router_status"), &reply);
        if (r != 0 || ctl->json)
                return r;
        ctl_print_status(ctl, json_object_object_get(ctl_response(&reply), "router_status"));
        return CTL_OK;
}

const CtlVerb ctl_verb_status = {
        .name = "status",
        .arguments = "",
        .summary = "How the router is",
        .run = run_status,
};

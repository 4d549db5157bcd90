/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pipelinectl undeploy: the workers hold a version no more. */

#include "ctl-ask.h"
#include "ctl-verbs.h"

static int run_undeploy(Ctl *ctl, const CtlVerb *verb, int argc, char **argv)
{
        _cleanup_(client_reply_done) ClientReply reply = {};
        const char *channel;
        int r;

        r = ctl_parse(ctl, verb, argc, argv, NULL, 0, &argc);
        if (r != 0)
                return r;
        channel = ctl_channel(argv[1]);
        if (!channel)
                return ctl_fail(verb, CTL_USAGE, CTL_NO_CHANNEL, argv[1]);
        return ctl_ask_shown(ctl, verb,
                             ctl_version_request("unload_container_version", channel, argv[2], argv[3]),
                             &reply);
}

const CtlVerb ctl_verb_undeploy = {
        .name = "undeploy",
        .arguments = "CHANNEL TRACK VERSION",
        .summary = "Have the workers hold a version no more",
        .run = run_undeploy,
};

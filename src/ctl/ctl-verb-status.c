/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pipelinectl status: what the router says of itself, whatever that is: a row a member. */

#include "ctl-ask.h"
#include "ctl-table.h"
#include "ctl-verbs.h"

static int add_status(CtlTable *table, const char *name, json_object *value)
{
        return ctl_table_add(table, (const char *[]){ name, json_object_get_string(value) });
}

static int run_status(Ctl *ctl, const CtlVerb *verb, int argc, char **argv)
{
        _cleanup_(client_reply_done) ClientReply reply = {};
        _cleanup_(ctl_table_done) CtlTable table = { .n_columns = 2 };
        json_object *status;
        int r;

        r = ctl_parse(ctl, verb, argc, argv, NULL, 0, &argc);
        if (r == 0)
                r = ctl_ask_shown(ctl, verb, ctl_request("router_status"), &reply);
        if (r != 0 || ctl->json)
                return r;
        status = json_object_object_get(ctl_response(&reply), "router_status");
        r = ctl_table_add(&table, (const char *[]){ "ROUTER", "" });
        if (json_object_is_type(status, json_type_object)) {
                json_object_object_foreach(status, name, value)
                {
                        if (r >= 0)
                                r = add_status(&table, name, value);
                }
        }
        if (r < 0)
                return r;
        ctl_table_print(ctl, &table);
        return CTL_OK;
}

const CtlVerb ctl_verb_status = {
        .name = "status",
        .arguments = "",
        .summary = "How the router is",
        .run = run_status,
};

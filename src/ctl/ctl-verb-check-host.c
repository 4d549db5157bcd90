/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pipelinectl check-host: whether this host has what sandboxes need, and what to do where it has not. */

#include "ctl-table.h"
#include "ctl-verbs.h"
#include "host.h"

#include "proto/json-fields.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

typedef struct Findings {
        HostFinding *items;
        size_t n;
} Findings;

static void findings_done(Findings *findings)
{
        host_findings_free(findings->items, findings->n);
}

static int add_finding(json_object *list, const HostFinding *f)
{
        _cleanup_json_ json_object *object = json_object_new_object();

        if (!object || json_add_text(object, "check", f->check) < 0 ||
            json_add_text(object, "verdict", host_verdict_name(f->verdict)) < 0 ||
            json_add_text(object, "text", f->text) < 0 || json_add_text(object, "mend", f->mend) < 0 ||
            json_object_array_add(list, object) < 0)
                return -ENOMEM;
        (void) TAKE_PTR(object);
        return 0;
}

static int print_json(const Findings *findings)
{
        _cleanup_json_ json_object *body = json_object_new_object(), *list = json_object_new_array();
        const char *text;

        if (!body || !list)
                return -ENOMEM;
        for (size_t i = 0; i < findings->n; i++)
                if (add_finding(list, &findings->items[i]) < 0)
                        return -ENOMEM;
        if (json_add(body, "host", TAKE_PTR(list)) < 0)
                return -ENOMEM;
        text = json_object_text(body);
        if (!text)
                return -ENOMEM;
        puts(text);
        return 0;
}

static int print_table(const Ctl *ctl, const Findings *findings)
{
        _cleanup_(ctl_table_done) CtlTable table = { .n_columns = 3 };
        int r = ctl_table_add(&table, (const char *[]){ "CHECK", "VERDICT", "HOW IT IS" });

        for (size_t i = 0; r >= 0 && i < findings->n; i++) {
                const HostFinding *f = &findings->items[i];

                r = ctl_table_add(&table,
                                  (const char *[]){ f->check, host_verdict_name(f->verdict), f->text });
        }
        if (r < 0)
                return r;
        ctl_table_print(ctl, &table);
        for (size_t i = 0; i < findings->n; i++)
                if (findings->items[i].mend)
                        printf("\n%s%s%s: %s\n",
                               ctl_style(ctl,
                                         findings->items[i].verdict == HOST_BAD ? CTL_BAD : CTL_DOUBTFUL),
                               findings->items[i].check, ctl_style(ctl, CTL_NORMAL),
                               findings->items[i].mend);
        return 0;
}

static int run_check_host(Ctl *ctl, const CtlVerb *verb, int argc, char **argv)
{
        _cleanup_(findings_done) Findings findings = {};
        const char *root = "/";
        const CtlOption own[] = {
                { "root", CTL_TEXT, &root, "FOLDER", "look at the host whose root this is" },
        };
        size_t n_bad = 0;
        int r;

        r = ctl_parse(ctl, verb, argc, argv, own, ARRAY_SIZE(own), &argc);
        if (r != 0)
                return r;
        r = host_check(root, &findings.items, &findings.n);
        if (r < 0)
                return ctl_fail(verb, CTL_FAILED, "%s cannot be looked at: %s", root, strerror(-r));
        r = ctl->json ? print_json(&findings) : print_table(ctl, &findings);
        if (r < 0)
                return r;
        for (size_t i = 0; i < findings.n; i++)
                n_bad += findings.items[i].verdict == HOST_BAD;
        return n_bad > 0 ? CTL_FAILED : CTL_OK;
}

const CtlVerb ctl_verb_check_host = {
        .name = "check-host",
        .arguments = "",
        .summary = "Whether this host has what sandboxes need",
        .run = run_check_host,
};

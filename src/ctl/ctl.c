/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pipelinectl: what operators type. It needs no root: the registry's folder and the router's socket decide
 * by group. People get tables and sentences, scripts `--json` and the exit status. */

#include "ctl.h"

#include "ctl-verbs.h"

#include "basic/string-util.h"
#include "proto/name.h"
#include "shared/oci-layout.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

int ctl_fail(const CtlVerb *verb, int code, const char *format, ...)
{
        va_list arguments;

        (void) fprintf(stderr, "pipelinectl %s: ", verb->name);
        va_start(arguments, format);
        (void) vfprintf(stderr, format, arguments);
        va_end(arguments);
        (void) fputc('\n', stderr);
        return code;
}

const char *ctl_channel(const char *name)
{
        Channel channel = channel_from_string(name);

        return channel == _CHANNEL_INVALID || channel == CHANNEL_BUILDERS ? NULL
                                                                          : channel_to_string(channel);
}

const char *ctl_style(const Ctl *ctl, CtlStyle style)
{
        static const char *const sequences[_CTL_STYLE_MAX] = {
                [CTL_NORMAL] = "\033[0m", [CTL_BOLD] = "\033[1m", [CTL_DIM] = "\033[2m",
                [CTL_GOOD] = "\033[32m",  [CTL_BAD] = "\033[31m", [CTL_DOUBTFUL] = "\033[33m",
        };

        return ctl->color ? sequences[style] : "";
}

/* In the order of the help: from an image of one's own to what became of a job. */
static const CtlVerb *const VERBS[] = {
        &ctl_verb_build,    &ctl_verb_push,     &ctl_verb_images,  &ctl_verb_rm,     &ctl_verb_deploy,
        &ctl_verb_undeploy, &ctl_verb_versions, &ctl_verb_workers, &ctl_verb_status, &ctl_verb_jobs,
        &ctl_verb_top,      &ctl_verb_test,     &ctl_verb_logs,    &ctl_verb_keys,   &ctl_verb_check_host,
};

static const CtlVerb *find_verb(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(VERBS); i++)
                if (streq(VERBS[i]->name, name))
                        return VERBS[i];
        return NULL;
}

static int help(FILE *out, int code)
{
        (void) fputs("usage: pipelinectl VERB [ARGUMENT]... [OPTION]...\n\n", out);
        for (size_t i = 0; i < ARRAY_SIZE(VERBS); i++)
                (void) fprintf(out, "  %-10s %-36s %s\n", VERBS[i]->name, VERBS[i]->arguments,
                               VERBS[i]->summary);
        (void) fputs("\npipelinectl VERB --help says more; so does pipelinectl(1).\n", out);
        return code;
}

int main(int argc, char **argv)
{
        Ctl ctl = {
                .registry = OCI_REGISTRY_FOLDER,
                .color = isatty(STDOUT_FILENO) == 1 && !getenv("NO_COLOR"),
        };
        const CtlVerb *verb;
        int r;

        if (argc < 2)
                return help(stderr, CTL_USAGE);
        if (streq(argv[1], "help") || streq(argv[1], "--help") || streq(argv[1], "-h"))
                return help(stdout, CTL_OK);
        if (streq(argv[1], "--version")) {
                puts("pipelinectl " PROJECT_VERSION);
                return CTL_OK;
        }
        verb = find_verb(argv[1]);
        if (!verb) {
                (void) fprintf(stderr, "pipelinectl: there is no verb %s\n\n", argv[1]);
                return help(stderr, CTL_USAGE);
        }
        r = verb->run(&ctl, verb, argc - 1, argv + 1);
        if (r == CTL_HELP)
                return CTL_OK;
        return r < 0 ? ctl_fail(verb, CTL_FAILED, "%s", strerror(-r)) : r;
}

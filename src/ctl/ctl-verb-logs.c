/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pipelinectl logs: what router, worker and sandbox said of one job. */

#include "ctl-ask.h"
#include "ctl-verbs.h"

#include "basic/string-util.h"
#include "proto/name.h"

#include <errno.h>
#include <stdio.h>
#include <systemd/sd-id128.h>
#include <unistd.h>

/* Whether this user may read what services log: 0, or -errno. */
static int check_journal(void)
{
        static const char *const folders[] = { "/var/log/journal", "/run/log/journal" };
        int error = ENOENT;
        sd_id128_t machine;
        int r;

        r = sd_id128_get_machine(&machine);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
                _cleanup_free_ char *path = string_format("%s/" SD_ID128_FORMAT_STR "/system.journal",
                                                          folders[i], SD_ID128_FORMAT_VAL(machine));

                if (!path)
                        return -ENOMEM;
                if (access(path, R_OK) == 0)
                        return 0;
                if (errno == EACCES)
                        error = EACCES;
        }
        return -error;
}

static int run_logs(Ctl *ctl, const CtlVerb *verb, int argc, char **argv)
{
        _cleanup_free_ char *match = NULL;
        bool follow = false;
        const CtlOption own[] = {
                { "follow", CTL_FLAG, &follow, NULL, "go on as more is logged" },
        };
        int r;

        r = ctl_parse(ctl, verb, argc, argv, own, ARRAY_SIZE(own), &argc);
        if (r != 0)
                return r;
        if (!job_id_is_valid(argv[1]))
                return ctl_fail(verb, CTL_USAGE, "%s is no job: one has 32 hexadecimal digits", argv[1]);
        r = check_journal();
        if (r == -EACCES)
                return ctl_fail(verb, CTL_NOT_ALLOWED,
                                "you may not read the journal; " CTL_JOIN("systemd-journal"));
        match = string_format("PIPELINE_JOB=%s", argv[1]);
        if (!match)
                return -ENOMEM;
        (void) fflush(stdout);
        (void) execlp("journalctl", "journalctl", "--quiet", "--no-hostname", "--all",
                      ctl->json ? "--output=json" : "--output=short-precise",
                      follow ? "--follow" : "--no-pager", match, NULL);
        return ctl_fail(verb, CTL_FAILED, "journalctl cannot be run: %m");
}

const CtlVerb ctl_verb_logs = {
        .name = "logs",
        .arguments = "JOB",
        .summary = "What was logged about a job",
        .run = run_logs,
};

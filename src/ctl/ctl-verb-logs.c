/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pipelinectl logs: what router, worker and sandbox said of one job, as one story: when, how long after its
 * beginning, who, what. The journal of this host is read; a worker elsewhere has its own. */

#include "ctl-ask.h"
#include "ctl-verbs.h"

#include "basic/string-util.h"
#include "proto/name.h"

#include <errno.h>
#include <stdio.h>
#include <syslog.h>
#include <systemd/sd-id128.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#define LINE_LENGTH_MAX 2000U
#define WHO_WIDTH       18

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

/* For scripts the records as they are, by journalctl. */
static int exec_journalctl(const CtlVerb *verb, const char *match, bool follow)
{
        (void) fflush(stdout);
        (void) execlp("journalctl", "journalctl", "--quiet", "--all", "--output=json",
                      follow ? "--follow" : "--no-pager", match, NULL);
        return ctl_fail(verb, CTL_FAILED, "journalctl cannot be run: %m");
}

/* Records */

typedef struct Story {
        const Ctl *ctl;
        sd_journal *journal;
        const char *job;
        usec_t begin; /* of its first record; 0: there was none yet */
} Story;

/* The value of a field, safe for terminals, as a new string; "" where the record has none. */
static char *field_of(sd_journal *journal, const char *name)
{
        const void *data;
        size_t size, skip = strlen(name) + 1;

        if (sd_journal_get_data(journal, name, &data, &size) < 0 || size < skip)
                return strdup("");
        return string_escape((const char *) data + skip, size - skip, LINE_LENGTH_MAX);
}

/* "worker ruby-1", "router". */
static char *who_of(sd_journal *journal)
{
        _cleanup_free_ char *identifier = field_of(journal, "SYSLOG_IDENTIFIER");
        _cleanup_free_ char *worker = field_of(journal, "PIPELINE_WORKER");
        const char *who = identifier ? string_after(identifier, "pipeline-") ?: identifier : NULL;

        if (!who || !worker)
                return NULL;
        return streq(who, "worker") ? string_format("%s %s", who, worker) : strdup(who);
}

/* Without the job's name, which is that of the whole. */
static const char *what_of(const Story *story, const char *message)
{
        const char *rest = string_after(message, "Job ");

        rest = rest ? string_after(rest, story->job) : NULL;
        return rest && *rest == ' ' ? rest + 1 : message;
}

static const char *style_of(const Story *story, const char *priority)
{
        unsigned long level = strtoul(priority, NULL, 10);

        if (level <= LOG_ERR)
                return ctl_style(story->ctl, CTL_BAD);
        return level == LOG_WARNING ? ctl_style(story->ctl, CTL_DOUBTFUL) : "";
}

static int print_record(Story *story)
{
        _cleanup_free_ char *who = who_of(story->journal), *message = field_of(story->journal, "MESSAGE"),
                            *priority = field_of(story->journal, "PRIORITY");
        char clock[32] = "";
        uint64_t usec;
        struct tm tm;
        time_t seconds;
        int r = sd_journal_get_realtime_usec(story->journal, &usec);

        if (r < 0)
                return r;
        if (!who || !message || !priority)
                return -ENOMEM;
        seconds = (time_t) (usec / USEC_PER_SEC);
        if (story->begin == 0) {
                story->begin = usec;
                if (localtime_r(&seconds, &tm) && strftime(clock, sizeof(clock), "%F", &tm) > 0)
                        printf("%sJob %s, %s%s\n", ctl_style(story->ctl, CTL_BOLD), story->job, clock,
                               ctl_style(story->ctl, CTL_NORMAL));
        }
        if (!localtime_r(&seconds, &tm) || strftime(clock, sizeof(clock), "%T", &tm) == 0)
                return -EINVAL;
        printf("%s%s.%03u%s %+8.3f s  %-*s %s%s%s\n", ctl_style(story->ctl, CTL_DIM), clock,
               (unsigned) (usec % USEC_PER_SEC / USEC_PER_MSEC), ctl_style(story->ctl, CTL_NORMAL),
               ((double) usec - (double) story->begin) / USEC_PER_SEC, WHO_WIDTH, who,
               style_of(story, priority), what_of(story, message), ctl_style(story->ctl, CTL_NORMAL));
        return 0;
}

static int print_story(Story *story, const char *match, bool follow)
{
        int r = sd_journal_add_match(story->journal, match, 0);

        if (r >= 0)
                r = sd_journal_seek_head(story->journal);
        while (r >= 0) {
                while ((r = sd_journal_next(story->journal)) > 0) {
                        r = print_record(story);
                        if (r < 0)
                                return r;
                }
                (void) fflush(stdout);
                if (!follow || r < 0)
                        break;
                r = sd_journal_wait(story->journal, UINT64_MAX);
        }
        return r;
}

static int tell_story(const Ctl *ctl, const CtlVerb *verb, const char *job, const char *match, bool follow)
{
        Story story = { .ctl = ctl, .job = job };
        int r = sd_journal_open(&story.journal, SD_JOURNAL_LOCAL_ONLY);

        if (r < 0)
                return r;
        r = print_story(&story, match, follow);
        sd_journal_close(story.journal);
        if (r < 0)
                return r;
        if (story.begin == 0)
                return ctl_fail(verb, CTL_FAILED, "the journal of this host has nothing of that job");
        return CTL_OK;
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
        return ctl->json ? exec_journalctl(verb, match, follow)
                         : tell_story(ctl, verb, argv[1], match, follow);
}

const CtlVerb ctl_verb_logs = {
        .name = "logs",
        .arguments = "JOB",
        .summary = "What was logged about a job",
        .run = run_logs,
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For people: the figures that tell whether all is well come first, and what is not well has a colour. */

#include "ctl-overview.h"

#include "basic/string-util.h"
#include "proto/json-fields.h"
#include "proto/status.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

void ctl_format_span(uint64_t msec, char ret[32])
{
        if (msec < 60000)
                (void) snprintf(ret, 32, "%.1f s", (double) msec / 1000);
        else if (msec < 3600000)
                (void) snprintf(ret, 32, "%" PRIu64 " min", msec / 60000);
        else if (msec < 48 * UINT64_C(3600000))
                (void) snprintf(ret, 32, "%" PRIu64 " h", msec / 3600000);
        else
                (void) snprintf(ret, 32, "%" PRIu64 " days", msec / (24 * UINT64_C(3600000)));
}

static uint64_t number(json_object *object, const char *key)
{
        return json_object_get_uint64(json_object_object_get(object, key));
}

/* Status */

static void print_router(const Ctl *ctl, json_object *status)
{
        const char *version = json_text(status, "version");
        _cleanup_free_ char *safe = string_escape(version ?: "?", strlen(version ?: "?"), 64);
        char uptime[32];

        ctl_format_span(number(status, "uptime_seconds") * 1000, uptime);
        printf("%sRouter%s   %s, up %s, %" PRIu64 " tracks, %" PRIu64 " of %" PRIu64 " MiB of requests\n",
               ctl_style(ctl, CTL_BOLD), ctl_style(ctl, CTL_NORMAL), safe ?: "", uptime,
               number(status, "tracks"), number(status, "request_memory_bytes") >> 20,
               number(status, "request_memory_max_bytes") >> 20);
}

static void print_workers(const Ctl *ctl, json_object *status)
{
        json_object *workers = json_object_object_get(status, "workers");
        uint64_t n = 0, lost = number(status, "workers_lost");

        printf("%sWorkers%s ", ctl_style(ctl, CTL_BOLD), ctl_style(ctl, CTL_NORMAL));
        if (json_object_is_type(workers, json_type_object)) {
                json_object_object_foreach(workers, name, value)
                {
                        _cleanup_free_ char *safe = string_escape(name, strlen(name), 64);

                        if (json_object_get_uint64(value) > 0)
                                printf(" %" PRIu64 " %s,", json_object_get_uint64(value), safe ?: "");
                        n += json_object_get_uint64(value);
                }
        }
        if (n == 0)
                printf(" %snone is online%s,", ctl_style(ctl, CTL_DOUBTFUL), ctl_style(ctl, CTL_NORMAL));
        printf(" %" PRIu64 " of %" PRIu64 " slots busy", number(status, "slots_busy"),
               number(status, "slots"));
        if (lost > 0)
                printf(", %" PRIu64 " lost since the start", lost);
        printf("\n");
}

static void print_answered(const Ctl *ctl, json_object *status)
{
        json_object *answered = json_object_object_get(status, "answered");

        printf("%sAnswers%s ", ctl_style(ctl, CTL_BOLD), ctl_style(ctl, CTL_NORMAL));
        if (!json_object_is_type(answered, json_type_object) || json_object_object_length(answered) == 0) {
                printf(" none yet\n");
                return;
        }
        json_object_object_foreach(answered, code, value)
        {
                unsigned n = (unsigned) strtoul(code, NULL, 10);
                bool is_fault = n == 500 || n == 510 || n == 512;

                printf(" %s%u %s %" PRIu64 "%s ", is_fault ? ctl_style(ctl, CTL_BAD) : "", n,
                       status_name(n) ?: "?", json_object_get_uint64(value),
                       is_fault ? ctl_style(ctl, CTL_NORMAL) : "");
        }
        printf("\n");
}

void ctl_print_status(const Ctl *ctl, json_object *status)
{
        uint64_t queued = number(status, "queued"), retried = number(status, "retried");
        char oldest[32];

        print_router(ctl, status);
        print_workers(ctl, status);
        ctl_format_span(number(status, "queued_oldest_milliseconds"), oldest);
        printf("%sJobs%s     %" PRIu64 " running, %" PRIu64 " waiting", ctl_style(ctl, CTL_BOLD),
               ctl_style(ctl, CTL_NORMAL), number(status, "running"), queued);
        if (queued > 0)
                printf(", %sthe oldest for %s%s", ctl_style(ctl, CTL_DOUBTFUL), oldest,
                       ctl_style(ctl, CTL_NORMAL));
        if (retried > 0)
                printf(", %" PRIu64 " given out once more", retried);
        printf("\n");
        print_answered(ctl, status);
}

/* Jobs */

static int add_job(CtlTable *table, json_object *job)
{
        char age[32];

        ctl_format_span(number(job, "age_milliseconds"), age);
        return ctl_table_add(table, (const char *[]){ json_text(job, "job"), json_text(job, "state"), age,
                                                      json_text(job, "track"), json_text(job, "exercise"),
                                                      json_text(job, "version"), json_text(job, "worker"),
                                                      json_text(job, "id"), json_text(job, "peer") });
}

int ctl_print_jobs(const Ctl *ctl, json_object *jobs, size_t n_max)
{
        _cleanup_(ctl_table_done) CtlTable table = { .n_columns = 9 };
        size_t n = json_object_is_type(jobs, json_type_array) ? json_object_array_length(jobs) : 0;
        int r = ctl_table_add(&table, (const char *[]){ "JOB", "STATE", "AGE", "TRACK", "EXERCISE",
                                                        "VERSION", "WORKER", "ID", "PEER" });

        for (size_t i = 0; i < MIN(n, n_max) && r >= 0; i++)
                r = add_job(&table, json_object_array_get_idx(jobs, i));
        if (r < 0)
                return r;
        ctl_table_print(ctl, &table);
        if (n == 0)
                printf("No job runs or waits.\n");
        if (n > n_max)
                printf("… and %zu more.\n", n - n_max);
        return 0;
}

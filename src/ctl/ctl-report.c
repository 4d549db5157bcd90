/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A result may hold anything in any place: every member is looked at as what it is, and left out where it is
 * something else. */

#include "ctl-report.h"

#include "ctl-ask.h"

#include "basic/string-util.h"
#include "proto/status.h"

#include <inttypes.h>
#include <stdio.h>

#define LINE_LENGTH_MAX 400U
#define LINES_MAX       40U
#define TESTS_MAX       1000U

static const struct {
        const char *status, *mark;
        CtlStyle style;
} verdicts[] = {
        { "pass", "✓", CTL_GOOD },
        { "fail", "✗", CTL_BAD },
        { "error", "!", CTL_BAD },
};

static void print_verdict(const Ctl *ctl, const char *status, bool as_word)
{
        for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++)
                if (status && streq(status, verdicts[i].status)) {
                        printf("%s%s%s", ctl_style(ctl, verdicts[i].style),
                               as_word ? status : verdicts[i].mark, ctl_style(ctl, CTL_NORMAL));
                        return;
                }
        printf("%s?%s", ctl_style(ctl, CTL_DOUBTFUL), ctl_style(ctl, CTL_NORMAL));
}

/* A text of several lines, each behind an indent; only so many of them. */
static void print_lines(const Ctl *ctl, const char *text, const char *indent)
{
        unsigned n = 0;

        for (const char *line = text; line && *line && n < LINES_MAX; n++) {
                size_t length = strcspn(line, "\n");
                _cleanup_free_ char *safe = string_escape(line, length, LINE_LENGTH_MAX);

                printf("%s%s%s%s%s\n", indent, ctl_style(ctl, CTL_DIM), safe ?: "",
                       length > LINE_LENGTH_MAX ? "…" : "", ctl_style(ctl, CTL_NORMAL));
                line += length + (line[length] == '\n');
                if (n + 1 == LINES_MAX && *line)
                        printf("%s…\n", indent);
        }
}

static void print_test(const Ctl *ctl, json_object *test)
{
        _cleanup_free_ char *name = ctl_safe(json_text(test, "name"));

        printf("  ");
        print_verdict(ctl, json_text(test, "status"), false);
        printf(" %s\n", name ?: "");
        print_lines(ctl, json_text(test, "message"), "      ");
        if (json_text(test, "output") && *json_text(test, "output")) {
                printf("      output:\n");
                print_lines(ctl, json_text(test, "output"), "        ");
        }
}

static void print_results(const Ctl *ctl, json_object *results)
{
        json_object *tests = json_object_object_get(results, "tests");

        print_verdict(ctl, json_text(results, "status"), true);
        printf("\n");
        print_lines(ctl, json_text(results, "message"), "  ");
        if (!json_object_is_type(tests, json_type_array))
                return;
        for (size_t i = 0; i < MIN(json_object_array_length(tests), (size_t) TESTS_MAX); i++) {
                json_object *test = json_object_array_get_idx(tests, i);

                if (json_object_is_type(test, json_type_object))
                        print_test(ctl, test);
        }
}

static uint64_t number(json_object *object, const char *key)
{
        return json_object_get_uint64(json_object_object_get(object, key));
}

/* What it used, and where to read on. */
static void print_usage(const Ctl *ctl, json_object *context)
{
        json_object *usage = json_object_object_get(context, "usage");
        _cleanup_free_ char *job = ctl_safe(json_text(context, "job"));
        _cleanup_free_ char *version = ctl_safe(json_text(context, "container_version"));
        _cleanup_free_ char *worker = ctl_safe(json_text(context, "worker"));

        printf("%s", ctl_style(ctl, CTL_DIM));
        if (usage)
                printf("%.2f s, %.2f s CPU", (double) number(usage, "wall_milliseconds") / 1000,
                       (double) number(usage, "cpu_milliseconds") / 1000);
        if (number(usage, "memory_peak_bytes") > 0)
                printf(", %" PRIu64 " MiB", number(usage, "memory_peak_bytes") >> 20);
        if (json_text(context, "worker"))
                printf("%s%s at %s", usage ? "; " : "", version ?: "", worker ?: "");
        if (json_text(context, "job"))
                printf("; `pipelinectl logs %s`", job ?: "");
        printf("%s\n", ctl_style(ctl, CTL_NORMAL));
        if (usage && !json_object_get_boolean(json_object_object_get(context, "limits_enforced")))
                printf("%sthe kernel of that host enforces no limits%s\n", ctl_style(ctl, CTL_DOUBTFUL),
                       ctl_style(ctl, CTL_NORMAL));
}

static void print_stream(const Ctl *ctl, json_object *invocation, const char *name)
{
        const char *text = json_text(invocation, name);

        if (!text || !*text)
                return;
        printf("%s:\n", name);
        print_lines(ctl, text, "  ");
}

void ctl_report_job(const Ctl *ctl, const ClientReply *reply)
{
        json_object *response = ctl_response(reply),
                    *context = json_object_object_get(reply->object, "context");
        json_object *invocation = json_object_object_get(context, "invocation");

        if (reply->code != STATUS_OK) {
                print_stream(ctl, invocation, "stdout");
                print_stream(ctl, invocation, "stderr");
        } else if (json_object_is_type(response, json_type_string))
                print_lines(ctl, json_object_get_string(response), "");
        else
                print_results(ctl, response);
        print_usage(ctl, context);
}

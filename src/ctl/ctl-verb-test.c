/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pipelinectl test: a solution as a job, and what came of it. */

#include "ctl-ask.h"
#include "ctl-report.h"
#include "ctl-spool.h"
#include "ctl-verbs.h"

#include "basic/parse-util.h"
#include "basic/string-util.h"
#include "proto/name.h"
#include "proto/status.h"

#include <errno.h>
#include <stdio.h>

/* The router answers every job in its own time, which is less than this. */
#define JOB_TIMEOUT_USEC (3600 * USEC_PER_SEC)

static const char *const channel_actions[_CHANNEL_MAX] = {
        [CHANNEL_TEST_RUNNERS] = "test_solution",
        [CHANNEL_STATIC_ANALYZERS] = "analyze_iteration",
        [CHANNEL_REPRESENTERS] = "represent",
};

typedef struct TestOptions {
        const char *version, *channel_name, *timeout;
        Channel channel;
        usec_t timeout_usec; /* 0: the track's */
} TestOptions;

static int check_options(const CtlVerb *verb, TestOptions *options)
{
        options->channel = channel_from_string(options->channel_name ?: "test_runners");
        if (options->channel == _CHANNEL_INVALID || !channel_actions[options->channel])
                return ctl_fail(verb, CTL_USAGE, "%s is no channel of jobs", options->channel_name);
        if (options->timeout && parse_time_span(options->timeout, &options->timeout_usec) < 0)
                return ctl_fail(verb, CTL_USAGE, "%s is no time; one looks like 20 or 1.5s",
                                options->timeout);
        return 0;
}

/* The version that was deployed last, where none is named. */
static int find_version(const Ctl *ctl, const CtlVerb *verb, const TestOptions *options, const char *track,
                        char **ret)
{
        _cleanup_(client_reply_done) ClientReply reply = {};
        const char *channel = channel_to_string(options->channel);
        json_object *versions;
        size_t n;
        int r;

        r = ctl_ask_ok(ctl, verb, ctl_request("current_config"), CTL_ASK_TIMEOUT_USEC, &reply);
        if (r != 0)
                return r;
        versions = json_object_object_get(ctl_response(&reply), "container_versions");
        versions = json_object_object_get(json_object_object_get(versions, channel), track);
        n = json_object_is_type(versions, json_type_array) ? json_object_array_length(versions) : 0;
        if (n == 0)
                return ctl_fail(
                        verb, CTL_FAILED,
                        "no version of %s %s is deployed; `pipelinectl deploy %s %s VERSION` does that",
                        channel, track, channel, track);
        *ret = strdup(json_object_get_string(json_object_array_get_idx(versions, n - 1)));
        return *ret ? 0 : -ENOMEM;
}

static json_object *make_request(const TestOptions *options, char **argv, const char *version,
                                 const char *uri)
{
        _cleanup_json_ json_object *request = ctl_request(channel_actions[options->channel]);
        _cleanup_free_ char *suffix = random_hex(8);
        _cleanup_free_ char *id = suffix ? string_format("pipelinectl-%s", suffix) : NULL;
        json_object *seconds = NULL;

        if (!request || !id || json_add_text(request, "id", id) < 0 ||
            json_add_text(request, "track_slug", argv[1]) < 0 ||
            json_add_text(request, "exercise_slug", argv[2]) < 0 ||
            json_add_text(request, "s3_uri", uri) < 0 ||
            json_add_text(request, "container_version", version) < 0)
                return NULL;
        if (options->timeout_usec > 0) {
                seconds = json_object_new_double((double) options->timeout_usec / (double) USEC_PER_SEC);
                if (!seconds || json_add(request, "execution_timeout", seconds) < 0)
                        return NULL;
        }
        return TAKE_PTR(request);
}

static int run_test(Ctl *ctl, const CtlVerb *verb, int argc, char **argv)
{
        TestOptions options = {};
        const CtlOption own[] = {
                { "version", CTL_TEXT, &options.version, "VERSION",
                  "the version to run; the last one deployed" },
                { "channel", CTL_TEXT, &options.channel_name, "CHANNEL", "test_runners, where not said" },
                { "timeout", CTL_TEXT, &options.timeout, "TIME", "how long it may run; the track's limit" },
        };
        _cleanup_(client_reply_done) ClientReply reply = {};
        _cleanup_(spool_done) Spool spool = {};
        _cleanup_free_ char *found = NULL;
        int r;

        r = ctl_parse(ctl, verb, argc, argv, own, ARRAY_SIZE(own), &argc);
        if (r == 0)
                r = check_options(verb, &options);
        if (r == 0 && !options.version)
                r = find_version(ctl, verb, &options, argv[1], &found);
        if (r == 0)
                r = spool_init(&spool, verb, argv[3]);
        if (r != 0)
                return r;
        r = ctl_ask(ctl, verb, make_request(&options, argv, options.version ?: found, spool.uri),
                    JOB_TIMEOUT_USEC, &reply);
        if (r != 0)
                return r;
        if (ctl->json)
                printf("%s\n", (const char *) reply.text.data);
        else
                ctl_report_job(ctl, &reply);
        return reply.code == STATUS_OK ? CTL_OK : ctl_say_code(verb, &reply);
}

const CtlVerb ctl_verb_test = {
        .name = "test",
        .arguments = "TRACK EXERCISE FOLDER",
        .summary = "Run a solution, a folder or a URI, and show its result",
        .run = run_test,
};

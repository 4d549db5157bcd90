/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pipelinectl build: a git reference becomes a version; with --deploy it goes live. On a terminal one line
 * follows the build, elsewhere each step is a line. */

#include "ctl-ask.h"
#include "ctl-deploy.h"
#include "ctl-verbs.h"

#include "basic/string-util.h"
#include "proto/name.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* The router answers every build in its own time, which is less than this. */
#define BUILD_TIMEOUT_USEC (24 * 3600 * USEC_PER_SEC)
#define LINE_WIDTH         100

typedef struct Shown {
        bool is_terminal, is_open; /* a line is there that the next one goes over */
} Shown;

static void show_progress(const char *text, uint64_t step, uint64_t n_steps, void *userdata)
{
        _cleanup_free_ char *safe = ctl_safe(text);
        Shown *shown = userdata;
        char count[48] = "";

        if (n_steps > 0)
                (void) snprintf(count, sizeof(count), "[%" PRIu64 "/%" PRIu64 "] ", step, n_steps);
        if (shown->is_terminal)
                (void) fprintf(stderr, "\r\033[K%s%.*s", count, LINE_WIDTH, safe ?: "");
        else
                (void) fprintf(stderr, "%s%s\n", count, safe ?: "");
        (void) fflush(stderr);
        shown->is_open = shown->is_terminal;
}

static void end_progress(Shown *shown)
{
        if (shown->is_open)
                (void) fputs("\r\033[K", stderr);
        shown->is_open = false;
}

static json_object *make_request(char **argv, const char *channel)
{
        _cleanup_json_ json_object *request = ctl_request("build_container");
        _cleanup_free_ char *suffix = random_hex(8);
        _cleanup_free_ char *id = suffix ? string_format("pipelinectl-%s", suffix) : NULL;

        if (!request || !id || json_add_text(request, "id", id) < 0 ||
            json_add_text(request, "channel", channel) < 0 ||
            json_add_text(request, "track_slug", argv[2]) < 0 ||
            json_add_text(request, "git_reference", argv[3]) < 0 ||
            json_add_bool(request, "progress", true) < 0)
                return NULL;
        return TAKE_PTR(request);
}

/* The last lines of a build that failed. */
static void show_log(const ClientReply *reply)
{
        json_object *detail =
                json_object_object_get(json_object_object_get(reply->object, "context"), "error_detail");
        const char *log = json_text(detail, "log"), *end;

        for (; log && *log; log = *end ? end + 1 : end) {
                _cleanup_free_ char *line = NULL;

                end = strchrnul(log, '\n');
                line = string_escape(log, (size_t) (end - log), (size_t) (end - log));
                (void) fprintf(stderr, "  %s\n", line ?: "");
        }
}

static void show_built(const Ctl *ctl, json_object *response)
{
        _cleanup_free_ char *status = ctl_safe(json_text(response, "status")), *image = NULL;
        _cleanup_free_ char *digest = ctl_safe(json_text(response, "digest"));
        json_object *tags = json_object_object_get(response, "tags");

        image = ctl_safe(json_text(response, "image"));
        printf("%s%s%s %s %s\n", ctl_style(ctl, CTL_GOOD), status ?: "", ctl_style(ctl, CTL_NORMAL),
               image ?: "", digest ?: "");
        for (size_t i = 0; json_object_is_type(tags, json_type_array) && i < json_object_array_length(tags);
             i++) {
                _cleanup_free_ char *tag =
                        ctl_safe(json_object_get_string(json_object_array_get_idx(tags, i)));

                printf("  %s\n", tag ?: "");
        }
}

static int build(Ctl *ctl, const CtlVerb *verb, char **argv, const char *channel, ClientReply *ret)
{
        Shown shown = { .is_terminal = isatty(STDERR_FILENO) == 1 };
        _cleanup_(client_reply_done) ClientReply reply = {};
        int r;

        ctl->on_progress = ctl->json ? NULL : show_progress;
        ctl->progress_userdata = &shown;
        r = ctl_ask(ctl, verb, make_request(argv, channel), BUILD_TIMEOUT_USEC, &reply);
        end_progress(&shown);
        ctl->on_progress = NULL;
        if (r != 0)
                return r;
        if (reply.code != 200) {
                if (ctl->json)
                        printf("%s\n", (const char *) reply.text.data);
                else
                        show_log(&reply);
                return ctl_say_code(verb, &reply);
        }
        *ret = reply;
        reply = (ClientReply){};
        return 0;
}

static int deploy(const Ctl *ctl, const CtlVerb *verb, CtlDeploy *what, const ClientReply *built)
{
        _cleanup_(client_reply_done) ClientReply reply = {};

        what->version = json_text(ctl_response(built), "version");
        if (!what->version)
                return ctl_fail(verb, CTL_FAILED, "the reply does not name the version");
        return ctl_deploy(ctl, verb, what, &reply);
}

static int run_build(Ctl *ctl, const CtlVerb *verb, int argc, char **argv)
{
        _cleanup_(client_reply_done) ClientReply reply = {};
        bool deploys = false, waits = false;
        const CtlOption own[] = {
                { "deploy", CTL_FLAG, &deploys, NULL, "and deploy what was built" },
                { "wait", CTL_FLAG, &waits, NULL,
                  "with --deploy: until every worker of the track holds it" },
        };
        CtlDeploy what = {};
        int r = ctl_parse(ctl, verb, argc, argv, own, ARRAY_SIZE(own), &argc);

        if (r != 0)
                return r;
        what = (CtlDeploy){ ctl_channel(argv[1]), argv[2], NULL, waits ? CTL_DEPLOY_WAIT_USEC : 0 };
        if (!what.channel)
                return ctl_fail(verb, CTL_USAGE, CTL_NO_CHANNEL, argv[1]);
        if (!git_reference_is_valid(argv[3]))
                return ctl_fail(verb, CTL_USAGE, "%s is no commit, branch or tag", argv[3]);
        r = build(ctl, verb, argv, what.channel, &reply);
        if (r != 0)
                return r;
        if (ctl->json)
                ctl_print_json(ctl_response(&reply));
        else
                show_built(ctl, ctl_response(&reply));
        return deploys ? deploy(ctl, verb, &what, &reply) : CTL_OK;
}

const CtlVerb ctl_verb_build = {
        .name = "build",
        .arguments = "CHANNEL TRACK REFERENCE",
        .summary = "Make a version of a commit, branch or tag",
        .run = run_build,
};

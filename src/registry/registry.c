/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pipeline-registry: asks a registry one thing, says on standard output what came of it, and ends. It is a
 * process of its own so that a daemon's event loop never waits for a registry, nor reads what one sends.
 *
 * What it says is shared/registry.c's to read. Its settings are variables of the environment; what is secret
 * comes in files only. */

#include "ask.h"

#include "basic/string-util.h"
#include "proto/json-fields.h"
#include "proto/name.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#define N_FIXED 4 /* program, verb, channel, track */

void ask_progress(uint64_t done_size, uint64_t total_size)
{
        printf("{\"done\":%" PRIu64 ",\"total\":%" PRIu64 "}\n", done_size, total_size);
        (void) fflush(stdout);
}

static const struct Verb {
        const char *name, *usage;
        int n_arguments; /* at least */
        bool has_more;
        int (*remote)(const Ask *ask, char **ret_error);
        int (*embedded)(const Ask *ask, char **ret_error);
} VERBS[] = {
        { "resolve", "VERSION", 1, false, remote_resolve, embedded_resolve },
        { "list", "", 0, false, remote_list, embedded_list },
        { "fetch", "FOLDER DIGEST", 2, false, remote_fetch, embedded_fetch },
        { "push", "LAYOUT DIGEST VERSION [VERSION...]", 3, true, remote_push, embedded_push },
};

static int usage(void)
{
        fprintf(stderr, "Usage:\n");
        for (size_t i = 0; i < ARRAY_SIZE(VERBS); i++)
                fprintf(stderr, "  pipeline-registry %s CHANNEL TRACK %s\n", VERBS[i].name, VERBS[i].usage);
        fprintf(stderr, "See pipeline-worker.conf(5) for the variables REGISTRY, REGISTRY_AUTH, ...\n");
        return EXIT_USAGE;
}

static const struct Verb *find_verb(const char *name, int n_arguments)
{
        for (size_t i = 0; i < ARRAY_SIZE(VERBS); i++)
                if (streq(VERBS[i].name, name))
                        return n_arguments == VERBS[i].n_arguments ||
                                               (n_arguments > VERBS[i].n_arguments && VERBS[i].has_more)
                                       ? &VERBS[i]
                                       : NULL;
        return NULL;
}

/* The last line. */
static int answer(json_object *object, int code, const char *error)
{
        if (code != 0 && (json_add_uint(object, "code", (uint64_t) code) < 0 ||
                          json_add_text(object, "error", error) < 0))
                return EXIT_FAILURE;
        puts(json_object_text(object) ?: "out of memory");
        return code == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int ask(const struct Verb *verb, char **argv, RegistrySettings *settings)
{
        _cleanup_json_ json_object *object = json_object_new_object();
        _cleanup_free_ char *error = NULL;
        const Ask question = { settings, argv[2], argv[3], argv + N_FIXED, object };
        int r = object ? registry_settings_from_environment(settings, getenv, &error) : -ENOMEM;

        if (r == 0)
                r = (settings->folder ? verb->embedded : verb->remote)(&question, &error);
        if (r < 0) {
                puts(strerror(-r));
                return EXIT_FAILURE;
        }
        return answer(object, r == REGISTRY_BAD ? ASK_UNAVAILABLE : r, error);
}

int main(int argc, char **argv)
{
        _cleanup_(registry_settings_done) RegistrySettings settings = {};
        const struct Verb *verb;

        if (argc > 2 && streq(argv[2], "--")) { /* nothing before it may be taken for an option */
                for (int i = 2; i < argc; i++)
                        argv[i] = argv[i + 1];
                argc--;
        }
        verb = argc >= N_FIXED ? find_verb(argv[1], argc - N_FIXED) : NULL;
        if (!verb || channel_from_string(argv[2]) == _CHANNEL_INVALID || !slug_is_valid(argv[3]))
                return usage();
        (void) umask(verb->remote == remote_push ? 0022 : 0077);
        /* What it did so far stays, and is gone on with by the next one. */
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (registry_settings_init(&settings) < 0)
                return EXIT_FAILURE;
        return ask(verb, argv, &settings);
}

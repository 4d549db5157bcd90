/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pipeline-worker: takes jobs of one channel from the router, fetches their input and images, has
 * pipeline-sandboxd run them, and says what came of it. It makes no namespace and no container, and never
 * touches a path that a guest could have named.
 *
 * Under its unit all settings come from the instance's name and the environment; by hand from the command
 * line. */

#include "manager.h"
#include "private-service.h"

#include "basic/string-util.h"
#include "shared/aws-sign.h"
#include "shared/daemon-util.h"
#include "shared/log.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

typedef struct Arguments {
        ManagerOptions options;
        const char *name, *address, *folder;
        const char *slots, *registry, *sandbox, *key;
        char **input_folders; /* owned */
} Arguments;

static void arguments_done(Arguments *arguments)
{
        strv_free(arguments->input_folders);
}

/* The command line. */

static int show_help(void)
{
        printf("Usage: pipeline-worker listen NAME [ADDRESS FOLDER]\n"
               "       pipeline-worker configure NAME [ADDRESS FOLDER]\n"
               "\n"
               "Takes jobs of one channel from a router, and has them run in sandboxes.\n"
               "\n"
               "  listen             take jobs until stopped\n"
               "  configure          install the versions that the router says, then exit\n"
               "\n"
               "  NAME               who this worker is: TRACK-N serves TRACK, any-N every track\n"
               "  ADDRESS            tcp://HOST:5555/CHANNEL[?topic=TRACK&topic=TRACK], or\n"
               "                     ipc:///run/pipeline/router.sock/CHANNEL[?...]\n"
               "  FOLDER             this worker's own folder; no other may use it\n"
               "\n"
               "      --dryrun         ask the router what to hold, show it, and exit\n"
               "      --wait           a track without a deployed version is waited for, and no error\n"
               "      --slots N        jobs at the same time (1)\n"
               "      --input FOLDER   inputs may lie below this folder; may be repeated\n"
               "      --registry ADDRESS\n"
               "                       where images come from: a folder, or docker://HOST[:PORT][/PATH]\n"
               "      --sandbox SOCKET\n"
               "                       the sandbox service to use; by hand a private one is started\n"
               "      --key FILE       the key for a router beyond this host; see pipelinectl keys\n"
               "      --help           show this\n"
               "      --version        show the version\n"
               "\n"
               "See pipeline-worker(8).\n");
        return EXIT_SUCCESS;
}

static int show_version(void)
{
        printf("pipeline-worker %s\n", PROJECT_VERSION);
        return EXIT_SUCCESS;
}

static int usage(const char *problem)
{
        fprintf(stderr, "pipeline-worker: %s; --help shows how it is used\n", problem);
        return EXIT_USAGE;
}

enum {
        OPTION_HELP,
        OPTION_VERSION,
        OPTION_DRYRUN,
        OPTION_WAIT,
        OPTION_SLOTS,
        OPTION_INPUT,
        OPTION_REGISTRY,
        OPTION_SANDBOX,
        OPTION_KEY,
};

static const struct option long_options[] = {
        { "help", no_argument, NULL, OPTION_HELP },
        { "version", no_argument, NULL, OPTION_VERSION },
        { "dryrun", no_argument, NULL, OPTION_DRYRUN },
        { "wait", no_argument, NULL, OPTION_WAIT },
        { "slots", required_argument, NULL, OPTION_SLOTS },
        { "input", required_argument, NULL, OPTION_INPUT },
        { "registry", required_argument, NULL, OPTION_REGISTRY },
        { "sandbox", required_argument, NULL, OPTION_SANDBOX },
        { "key", required_argument, NULL, OPTION_KEY },
        {},
};

/* What getopt understood. 0; an exit status + 1 where there is nothing more to do; -ENOMEM. */
static int take_option(int option, Arguments *arguments)
{
        switch (option) {
        case OPTION_HELP:
                return show_help() + 1;
        case OPTION_VERSION:
                return show_version() + 1;
        case OPTION_DRYRUN:
                arguments->options.mode = MANAGER_DRYRUN;
                return 0;
        case OPTION_WAIT:
                arguments->options.waits = true;
                return 0;
        case OPTION_SLOTS:
                arguments->slots = optarg;
                return 0;
        case OPTION_INPUT:
                return strv_extend(&arguments->input_folders, optarg);
        case OPTION_REGISTRY:
                arguments->registry = optarg;
                return 0;
        case OPTION_SANDBOX:
                arguments->sandbox = optarg;
                return 0;
        case OPTION_KEY:
                arguments->key = optarg;
                return 0;
        default:
                return EXIT_USAGE + 1; /* getopt said what is wrong */
        }
}

static int parse_arguments(int argc, char **argv, Arguments *arguments)
{
        const char *verb;

        for (int option; (option = getopt_long(argc, argv, "", long_options, NULL)) >= 0;) {
                int r = take_option(option, arguments);

                if (r != 0)
                        return r;
        }
        if (argc - optind != 2 && argc - optind != 4)
                return usage("it takes a verb and NAME, or a verb, NAME, ADDRESS and FOLDER") + 1;
        verb = argv[optind];
        arguments->name = argv[optind + 1];
        arguments->address = argc - optind == 4 ? argv[optind + 2] : NULL;
        arguments->folder = argc - optind == 4 ? argv[optind + 3] : NULL;
        if (streq(verb, "configure") && arguments->options.mode == MANAGER_LISTEN)
                arguments->options.mode = MANAGER_CONFIGURE;
        else if (!streq(verb, "configure") && !streq(verb, "listen"))
                return usage("its verbs are listen and configure") + 1;
        return 0;
}

/* Settings. */

static int apply_arguments(WorkerSettings *settings, const Arguments *arguments, char **ret_error)
{
        int r = 0;

        if (arguments->address)
                r = settings_from_address(settings, arguments->address, ret_error);
        if (r == 0 && arguments->slots)
                r = settings_set_slots(settings, arguments->slots, ret_error);
        if (r == 0 && arguments->folder)
                r = settings_set_folder(settings, arguments->folder);
        if (r == 0 && arguments->registry)
                r = registry_settings_set_address(&settings->registry, arguments->registry, ret_error);
        if (r == 0 && arguments->sandbox)
                r = settings_set(&settings->sandbox, arguments->sandbox);
        if (r == 0 && arguments->key)
                r = settings_set(&settings->key_file, arguments->key);
        if (r == 0 && arguments->input_folders) {
                strv_free(settings->input_folders);
                settings->input_folders = NULL;
                for (char **folder = arguments->input_folders; *folder && r >= 0; folder++)
                        r = strv_extend(&settings->input_folders, *folder);
        }
        return r;
}

/* By hand, where no other is named. */
static bool needs_sandbox(const Arguments *arguments)
{
        return arguments->address && !arguments->sandbox && arguments->options.mode != MANAGER_DRYRUN;
}

static int make_settings(const Arguments *arguments, WorkerSettings *settings, char **ret_error)
{
        int r = settings_init(settings, arguments->name, ret_error);

        if (r == 0)
                r = settings_from_environment(settings, getenv, ret_error);
        if (r == 0)
                r = apply_arguments(settings, arguments, ret_error);
        if (r == 0 && !settings->folder)
                r = error_set(ret_error, SETTINGS_BAD, "without its unit it needs an address and a folder");
        if (r == 0)
                r = settings_read_key(settings, ret_error);
        if (r == 0 && !settings->images) {
                settings->images = string_format("%s/images", settings->folder);
                r = settings->images ? 0 : -ENOMEM;
        }
        if (r == 0 && needs_sandbox(arguments)) {
                free(settings->sandbox);
                settings->sandbox = private_service_address(settings->folder, "sandbox");
                r = settings->sandbox ? 0 : -ENOMEM;
        }
        return r;
}

/* One that signs wrongly would fail now and then: better not at all. */
static int check_libcurl(const WorkerSettings *settings, char **ret_error)
{
        const char *problem = aws_sign_check(curl_version_info(CURLVERSION_NOW)->version_num);

        if (!problem || !settings->wants_s3)
                return 0;
        return error_set(ret_error, SETTINGS_BAD, "inputs in S3 are configured, and %s", problem);
}

/* The run. */

static int open_manager(sd_event *event, const WorkerSettings *settings, const ManagerOptions *options,
                        Manager **ret)
{
        int r = manager_new(event, settings, options, ret);

        if (r == -EBUSY) {
                log_error("Another worker uses %s; each needs a folder of its own", settings->folder);
                return r;
        }
        return r < 0 ? log_errno(r, "Cannot use %s", settings->folder) : 0;
}

static int run(const WorkerSettings *settings, const ManagerOptions *options, bool with_sandbox)
{
        _cleanup_(private_service_freep) PrivateService *sandbox = NULL;
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(manager_freep) Manager *manager = NULL;
        int r;

        r = daemon_event_new(manager_on_stop, &manager, &event);
        if (r < 0)
                return log_errno(r, "Cannot make an event loop");
        r = open_manager(event, settings, options, &manager);
        if (r < 0)
                return r;
        if (with_sandbox) {
                r = private_service_new(event, "sandbox", settings->folder, settings->sandbox, &sandbox);
                if (r < 0)
                        return r;
        }
        return manager_run(manager);
}

int main(int argc, char **argv)
{
        _cleanup_(settings_done) WorkerSettings settings = {};
        _cleanup_(arguments_done) Arguments arguments = {};
        _cleanup_free_ char *error = NULL;
        int r;

        log_open("pipeline-worker");
        r = parse_arguments(argc, argv, &arguments);
        if (r > 0)
                return r - 1;
        if (r == 0 && geteuid() == 0) {
                log_error("A worker does not run as root; systemctl start pipeline-worker@%s runs it as a "
                          "user of its own",
                          arguments.name);
                return EXIT_FAILURE;
        }
        if (r == 0)
                r = make_settings(&arguments, &settings, &error);
        if (r == 0)
                r = check_libcurl(&settings, &error);
        if (r == SETTINGS_BAD)
                return usage(error);
        if (r < 0) {
                log_errno(r, "Cannot start");
                return EXIT_FAILURE;
        }
        r = run(&settings, &arguments.options, needs_sandbox(&arguments));
        return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

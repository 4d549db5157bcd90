/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pipeline-builder: from a git reference to a version in the registry. To the router it is a worker of the
 * channel `builders`; each build is a process of its own, with the verb `build`. It never runs a step of a
 * build: the build service does, and the sandbox service tries what came of it. */

#include "build-work.h"
#include "task-build.h"

#include "basic/fd-util.h"
#include "basic/string-util.h"
#include "shared/daemon-util.h"
#include "shared/log.h"
#include "worker/manager.h"
#include "worker/private-service.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOB_SIZE_MAX (1024U * 1024U)

typedef struct Arguments {
        const char *verb, *name, *address, *folder;
        const char *const *words; /* all of them, NULL-ended, from NAME on */
} Arguments;

static int show_help(void)
{
        printf("Usage: pipeline-builder listen NAME [ADDRESS FOLDER]\n"
               "\n"
               "Builds container versions of git references, tries them, and pushes them.\n"
               "\n"
               "  NAME               who this builder is\n"
               "  ADDRESS            tcp://HOST:5555/builders[?topic=TRACK&topic=TRACK], or\n"
               "                     ipc:///run/pipeline/router.sock/builders[?...]\n"
               "  FOLDER             this builder's own folder; no other may use it\n"
               "\n"
               "      --help         show this\n"
               "      --version      show the version\n"
               "\n"
               "Where sources are is said by the environment: SOURCE and others, see "
               "pipeline-builder.conf(5).\n");
        return EXIT_SUCCESS;
}

static int usage(const char *problem)
{
        fprintf(stderr, "pipeline-builder: %s; --help shows how it is used\n", problem);
        return EXIT_USAGE;
}

/* 0; an exit status + 1 where there is nothing more to do. */
static int parse_arguments(int argc, char **argv, Arguments *arguments)
{
        static const struct option long_options[] = { { "help", no_argument, NULL, 'h' },
                                                      { "version", no_argument, NULL, 'V' },
                                                      {} };

        for (int c; (c = getopt_long(argc, argv, "", long_options, NULL)) >= 0;) {
                if (c == 'h')
                        return show_help() + 1;
                if (c == 'V') {
                        printf("pipeline-builder %s\n", PROJECT_VERSION);
                        return EXIT_SUCCESS + 1;
                }
                return EXIT_USAGE + 1;
        }
        if (argc - optind != 2 && argc - optind != 4)
                return usage("it takes a verb and NAME, or a verb, NAME, ADDRESS and FOLDER") + 1;
        *arguments = (Arguments){ .verb = argv[optind],
                                  .name = argv[optind + 1],
                                  .address = argc - optind == 4 ? argv[optind + 2] : NULL,
                                  .folder = argc - optind == 4 ? argv[optind + 3] : NULL,
                                  .words = (const char *const *) &argv[optind + 1] };
        if (!streq(arguments->verb, "listen") && !streq(arguments->verb, "build"))
                return usage("its verb is listen") + 1;
        return 0;
}

/* Settings */

/* systemd names every folder of the unit; the first is this builder's. */
static char *lookup(const char *name)
{
        char *value = getenv(name),
             *colon = value && streq(name, "STATE_DIRECTORY") ? strchr(value, ':') : NULL;

        if (colon)
                *colon = '\0';
        return value;
}

/* By hand it has services of its own, where no other is named. */
static bool has_own(const Arguments *arguments, const char *variable)
{
        return arguments->address && !getenv(variable);
}

static int name_service(const Arguments *arguments, const WorkerSettings *worker, const char *name,
                        const char *variable, char **socket)
{
        if (!has_own(arguments, variable))
                return 0;
        free(*socket);
        *socket = private_service_address(worker->folder, name);
        return *socket ? 0 : -ENOMEM;
}

static int make_settings(const Arguments *arguments, WorkerSettings *worker, BuilderSettings *builder,
                         char **ret_error)
{
        int r = settings_init_builder(worker, arguments->name, ret_error);

        if (r == 0)
                r = settings_from_environment(worker, lookup, ret_error);
        if (r == 0 && arguments->address)
                r = settings_from_address(worker, arguments->address, ret_error);
        if (r == 0 && arguments->folder)
                r = settings_set_folder(worker, arguments->folder);
        if (r == 0 && !worker->folder)
                r = error_set(ret_error, SETTINGS_BAD, "without its unit it needs an address and a folder");
        if (r == 0)
                r = settings_read_key(worker, ret_error);
        if (r == 0)
                r = builder_settings_init(builder, lookup, ret_error);
        if (r == 0)
                r = name_service(arguments, worker, "sandbox", "SANDBOX", &worker->sandbox);
        if (r == 0)
                r = name_service(arguments, worker, "build", "BUILD_SOCKET", &builder->socket);
        return r;
}

/* listen */

static int listen_to_router(const WorkerSettings *settings, const BuilderSettings *builder,
                            const Arguments *arguments)
{
        _cleanup_(private_service_freep) PrivateService *sandbox = NULL;
        _cleanup_(private_service_freep) PrivateService *build = NULL;
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(manager_freep) Manager *manager = NULL;
        const ManagerOptions options = {
                .mode = MANAGER_LISTEN,
                .waits = true,
                .task = &task_build,
                .task_userdata = arguments->words,
        };
        int r = daemon_event_new(manager_on_stop, &manager, &event);

        if (r < 0)
                return log_errno(r, "Cannot make an event loop");
        r = manager_new(event, settings, &options, &manager);
        if (r == -EBUSY) {
                log_error("Another builder uses %s; each needs a folder of its own", settings->folder);
                return r;
        }
        if (r >= 0)
                r = task_build_clear(settings->folder);
        if (r < 0)
                return log_errno(r, "Cannot use %s", settings->folder);
        if (has_own(arguments, "SANDBOX"))
                r = private_service_new(event, "sandbox", settings->folder, settings->sandbox, &sandbox);
        if (r >= 0 && has_own(arguments, "BUILD_SOCKET"))
                r = private_service_new(event, "build", settings->folder, builder->socket, &build);
        if (r < 0)
                return r;
        return manager_run(manager);
}

/* build */

static void work_done(Work *work)
{
        free(work->folder);
        free(work->source);
        free(work->dockerfile);
        strv_free(work->bases);
        free(work->image);
        free(work->digest);
        strv_free(work->tags);
        buffer_done(&work->log);
}

static int read_job(Job *ret)
{
        _cleanup_json_ json_object *object = NULL;
        _cleanup_free_ char *text = malloc(JOB_SIZE_MAX), *error = NULL;
        ssize_t n = text ? read_full(STDIN_FILENO, text, JOB_SIZE_MAX) : -ENOMEM;
        int r = n < 0 ? (int) n : json_object_from_bytes(text, (size_t) n, &object, &error);

        if (r == 0)
                r = job_from_json(object, ret, &error);
        return r > 0 ? log_errno(-EBADMSG, "The job is malformed: %s", error) : r;
}

static int build_one(const WorkerSettings *worker, const BuilderSettings *settings)
{
        _cleanup_(job_done) Job job = {};
        _cleanup_(work_done) Work work = { .worker = worker,
                                           .settings = settings,
                                           .job = &job,
                                           .started_usec = now_usec(CLOCK_MONOTONIC),
                                           .report_fd = STDOUT_FILENO,
                                           .step = "start" };
        int r;

        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                return -errno;
        r = read_job(&job);
        if (r < 0)
                return r;
        work.folder = task_build_folder(worker->folder, job.job);
        if (!work.folder)
                return -ENOMEM;
        r = mkdir(work.folder, 0755) < 0 ? -errno : build_run(&work);
        if (r < 0 && !work.is_over)
                r = build_end(&work, STATUS_WORKER_ERROR, NULL, "the builder failed: %s", strerror(-r));
        return MIN(r, 0);
}

int main(int argc, char **argv)
{
        _cleanup_(settings_done) WorkerSettings worker = {};
        _cleanup_(builder_settings_done) BuilderSettings builder = {};
        _cleanup_free_ char *error = NULL;
        Arguments arguments;
        int r;

        log_open("pipeline-builder");
        r = parse_arguments(argc, argv, &arguments);
        if (r > 0)
                return r - 1;
        if (geteuid() == 0) {
                log_error("A builder does not run as root; systemctl start pipeline-builder@%s runs it as a "
                          "user of its own",
                          arguments.name);
                return EXIT_FAILURE;
        }
        r = make_settings(&arguments, &worker, &builder, &error);
        if (r == SETTINGS_BAD)
                return usage(error);
        if (r < 0) {
                log_errno(r, "Cannot start");
                return EXIT_FAILURE;
        }
        r = streq(arguments.verb, "build") ? build_one(&worker, &builder)
                                           : listen_to_router(&worker, &builder, &arguments);
        return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

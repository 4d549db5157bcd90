/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Of what comes before the namespace is entered only the command line and the administrator's files matter.
 * Started by systemd, a service gets its folders; by hand it makes its own. */

#include "service.h"

#include "doors.h"

#include "basic/string-util.h"
#include "shared/daemon-util.h"
#include "shared/log.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* NULL where they are not said. */
typedef struct ServiceOptions {
        const char *socket, *folder, *runtime, *config, *own;
} ServiceOptions;

/* 0; an exit status + 1 where that is all: a help text, the version, or a command line that is wrong. The
 * values are the arguments'. */
static int parse_options(const ServiceProgram *program, int argc, char **argv, ServiceOptions *ret)
{
        const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, 'V' },
                { "socket", required_argument, NULL, 's' },
                { "folder", required_argument, NULL, 'f' },
                { "runtime", required_argument, NULL, 'r' },
                { "config", required_argument, NULL, 'c' },
                { program->own_option, required_argument, NULL, 'o' },
                {},
        };
        const struct {
                int option;
                const char **value;
        } values[] = { { 's', &ret->socket },
                       { 'f', &ret->folder },
                       { 'r', &ret->runtime },
                       { 'c', &ret->config },
                       { 'o', &ret->own } };
        bool is_good = true;

        *ret = (ServiceOptions){};
        for (int c; (c = getopt_long(argc, argv, "", options, NULL)) >= 0;) {
                if (c == 'h' || c == 'V') {
                        if (c == 'h')
                                (void) fputs(program->usage, stdout);
                        else
                                printf("%s " PROJECT_VERSION "\n", program->name);
                        return EXIT_SUCCESS + 1;
                }
                is_good = is_good && c != '?';
                for (size_t i = 0; i < ARRAY_SIZE(values); i++)
                        if (values[i].option == c)
                                *values[i].value = optarg;
        }
        if (is_good && optind == argc)
                return 0;
        (void) fputs(program->usage, stderr);
        return EXIT_USAGE + 1;
}

static int read_config(const ServiceProgram *program, const char *path, void **ret)
{
        _cleanup_free_ void *config = malloc(program->settings->size);
        _cleanup_free_ char *error = NULL;
        int r = -ENOMEM;

        if (config)
                r = settings_read(program->settings, path ?: program->config_file, config, &error);
        if (r > 0) {
                log_error("%s", error);
                return -EINVAL;
        }
        if (r < 0)
                return log_errno(r, "Cannot read the configuration");
        *ret = TAKE_PTR(config);
        return 0;
}

/* Before anything is read from anybody. */
static int enter(const ServiceProgram *program, Identity *ret)
{
        _cleanup_free_ char *error = NULL;
        int r;

        if (getuid() == 0) {
                log_error("Not as root: start %s, or run as another user", program->socket_unit);
                return -EPERM;
        }
        r = identity_read(ret, &error);
        if (r > 0) {
                log_error("%s", error);
                return -ENODATA;
        }
        if (r >= 0)
                r = identity_enter(ret);
        return r < 0 ? log_errno(r, "Cannot enter a user namespace of its own") : 0;
}

static int make_folder(const char *path)
{
        return mkdir(path, 0711) < 0 && errno != EEXIST ? -errno : 0;
}

/* The folder to keep things in (an option, else $STATE_DIRECTORY) and the one for what runs (an option, else
 * $RUNTIME_DIRECTORY, else "run" in the first). Both exist afterwards. */
static int find_folders(const ServiceOptions *options, char **ret_folder, char **ret_runtime)
{
        const char *kept = options->folder ?: getenv("STATE_DIRECTORY");
        const char *running = options->runtime ?: getenv("RUNTIME_DIRECTORY");
        _cleanup_free_ char *own_folder = kept ? realpath(kept, NULL) : NULL, *own_runtime = NULL;
        int r;

        if (!own_folder) {
                log_error("Which folder to keep things in? Give an existing one with --folder");
                return -EINVAL;
        }
        own_runtime = running ? strdup(running) : string_format("%s/run", own_folder);
        if (!own_runtime)
                return -ENOMEM;
        r = make_folder(own_runtime);
        if (r < 0)
                return log_errno(r, "Cannot make %s", own_runtime);
        *ret_folder = TAKE_PTR(own_folder);
        *ret_runtime = TAKE_PTR(own_runtime);
        return 0;
}

static int serve(const ServiceProgram *program, const ServiceOptions *options, const void *config,
                 const Identity *identity)
{
        _cleanup_free_ char *folder = NULL, *runtime = NULL;
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        Service service = {
                .config = config,
                .identity = identity,
                .own = options->own,
                .by_hand = !getenv("NOTIFY_SOCKET"),
        };
        int r;

        r = find_folders(options, &folder, &runtime);
        if (r < 0)
                return r;
        r = doors_find(options->socket, ORDER_DOORS_MAX, service.doors, &service.n_doors);
        if (r < 0)
                return log_errno(r, "No socket to listen on: start %s, or give --socket",
                                 program->socket_unit);
        r = daemon_event_new(NULL, NULL, &event);
        if (r < 0)
                return log_errno(r, "Cannot make an event loop");
        service.folder = folder;
        service.runtime = runtime;
        service.event = event;
        return program->serve(&service);
}

int service_loop(const Service *service)
{
        _cleanup_(daemon_notify_stop) _unused_ const char *stop = daemon_notify_ready();

        return sd_event_loop(service->event);
}

int service_main(const ServiceProgram *program, int argc, char **argv)
{
        _cleanup_free_ void *config = NULL;
        ServiceOptions options;
        Identity identity;
        int r;

        log_open(program->name);
        r = parse_options(program, argc, argv, &options);
        if (r > 0)
                return r - 1;
        if (read_config(program, options.config, &config) < 0 || enter(program, &identity) < 0)
                return EXIT_FAILURE;
        return serve(program, &options, config, &identity) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pipeline-sandboxd: options, the user namespace, the loop. Nothing is read from anybody before the
 * namespace is entered: of what comes earlier only the administrator's files and the command line matter. */

#include "connection.h"

#include "basic/fd-util.h"
#include "basic/string-util.h"
#include "shared/daemon-util.h"
#include "shared/log.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define BACKLOG 256

typedef struct Options {
        const char *socket, *folder, *runtime, *config, *init_program;
        bool ends; /* --help, --version */
} Options;

static const char usage_text[] =
        "usage: pipeline-sandboxd [--socket=PATH] [--folder=DIR] [--runtime=DIR] [--config=FILE] "
        "[--init=FILE]\n"
        "\n"
        "Runs guests in sandboxes for the pipeline's workers. As a service it gets its socket and folders "
        "from\n"
        "systemd. By hand it wants --socket and --folder, and a systemd user manager.\n"
        "\n"
        "  --socket=PATH    listen here, for processes of the same user\n"
        "  --folder=DIR     where the images are kept (default: $STATE_DIRECTORY)\n"
        "  --runtime=DIR    where running sandboxes are kept (default: $RUNTIME_DIRECTORY, or DIR/run)\n"
        "  --config=FILE    limits (default: " SYSCONFDIR "/sandbox.conf)\n"
        "  --init=FILE      the first process of containers (default: " PKGLIBEXECDIR "/pipeline-init)\n"
        "  --version, --help\n";

static int parse_options(int argc, char **argv, Options *options)
{
        static const struct option long_options[] = {
                { "socket", required_argument, NULL, 's' },  { "folder", required_argument, NULL, 'f' },
                { "runtime", required_argument, NULL, 'r' }, { "config", required_argument, NULL, 'c' },
                { "init", required_argument, NULL, 'i' },    { "version", no_argument, NULL, 'V' },
                { "help", no_argument, NULL, 'h' },          {},
        };
        const struct {
                int option;
                const char **value;
        } values[] = { { 's', &options->socket },
                       { 'f', &options->folder },
                       { 'r', &options->runtime },
                       { 'c', &options->config },
                       { 'i', &options->init_program } };

        for (int c; (c = getopt_long(argc, argv, "", long_options, NULL)) >= 0;) {
                options->ends = options->ends || c == 'h' || c == 'V';
                if (c == 'h' || c == 'V')
                        (void) fputs(c == 'h' ? usage_text : "pipeline-sandboxd " PROJECT_VERSION "\n",
                                     stdout);
                else if (c == '?')
                        return -EINVAL;
                for (size_t i = 0; i < ARRAY_SIZE(values); i++)
                        if (values[i].option == c)
                                *values[i].value = optarg;
        }
        return optind < argc ? -EINVAL : 0;
}

static int make_folder(const char *path)
{
        return mkdir(path, 0711) < 0 && errno != EEXIST ? -errno : 0;
}

/* A socket of our own, for our own user. */
static int listen_at(const char *path, int *ret)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        mode_t mask;
        int r;

        if (fd < 0)
                return -errno;
        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        (void) strcpy(address.sun_path, path);
        if (unlink(path) < 0 && errno != ENOENT)
                return -errno;
        mask = umask(0177);
        r = bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 || listen(fd, BACKLOG) < 0 ? -errno
                                                                                                   : 0;
        (void) umask(mask);
        if (r >= 0)
                *ret = TAKE_FD(fd);
        return r;
}

/* The sockets that systemd passed, else one of our own. */
static int find_doors(const Options *options, int *doors, size_t *ret_n)
{
        int n = sd_listen_fds(true), r;

        if (n < 0)
                return n;
        if (n > (int) MANAGER_DOORS_MAX)
                return -E2BIG;
        for (int i = 0; i < n; i++) {
                r = sd_is_socket_unix(SD_LISTEN_FDS_START + i, SOCK_STREAM, 1, NULL, 0);
                if (r <= 0)
                        return r < 0 ? r : -ENOTSOCK;
                doors[i] = SD_LISTEN_FDS_START + i;
        }
        if (n == 0) {
                if (!options->socket)
                        return -EDESTADDRREQ;
                r = listen_at(options->socket, &doors[0]);
                if (r < 0)
                        return r;
                n = 1;
        }
        *ret_n = (size_t) n;
        return 0;
}

static int enter(Identity *ret)
{
        _cleanup_free_ char *error = NULL;
        int r;

        if (getuid() == 0) {
                log_error("Not as root: start pipeline-sandbox.socket, or run as another user");
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

static int read_config(const Options *options, Config *ret)
{
        _cleanup_free_ char *error = NULL;
        int r = config_read(options->config ?: SYSCONFDIR "/sandbox.conf", ret, &error);

        if (r > 0)
                log_error("%s", error);
        else if (r < 0)
                (void) log_errno(r, "Cannot read the configuration");
        return r > 0 ? -EINVAL : r;
}

/* Both folders exist afterwards. */
static int find_folders(const Options *options, char **ret_folder, char **ret_runtime)
{
        const char *folder = options->folder ?: getenv("STATE_DIRECTORY");
        const char *runtime = options->runtime ?: getenv("RUNTIME_DIRECTORY");
        _cleanup_free_ char *own_folder = folder ? realpath(folder, NULL) : NULL, *own_runtime = NULL;
        int r;

        if (!own_folder) {
                log_error("Which folder for images? Give an existing one with --folder");
                return -EINVAL;
        }
        own_runtime = runtime ? strdup(runtime) : string_format("%s/run", own_folder);
        if (!own_runtime)
                return -ENOMEM;
        r = make_folder(own_runtime);
        if (r < 0)
                return log_errno(r, "Cannot make %s", own_runtime);
        *ret_folder = TAKE_PTR(own_folder);
        *ret_runtime = TAKE_PTR(own_runtime);
        return 0;
}

static int serve(const Options *options, const Config *config, const Identity *identity)
{
        _cleanup_free_ char *folder = NULL, *runtime = NULL;
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(manager_done) Manager manager = {};
        int doors[MANAGER_DOORS_MAX], r;
        ManagerOptions manager_options = {
                .init_program = options->init_program ?: PKGLIBEXECDIR "/pipeline-init",
                .doors = doors,
                .by_hand = !getenv("NOTIFY_SOCKET"),
        };

        r = find_folders(options, &folder, &runtime);
        if (r < 0)
                return r;
        manager_options.folder = folder;
        manager_options.runtime = runtime;
        r = find_doors(options, doors, &manager_options.n_doors);
        if (r < 0)
                return log_errno(r,
                                 "No socket to listen on: start pipeline-sandbox.socket, or give --socket");
        r = daemon_event_new(NULL, NULL, &event);
        if (r < 0)
                return log_errno(r, "Cannot make an event loop");
        r = manager_init(&manager, event, &manager_options, config, identity);
        if (r < 0)
                return log_errno(r, "Cannot start");
        _cleanup_(daemon_notify_stop) _unused_ const char *stop = daemon_notify_ready();
        return sd_event_loop(event);
}

int main(int argc, char **argv)
{
        Options options = {};
        Identity identity;
        Config config;

        log_open("pipeline-sandboxd");
        if (parse_options(argc, argv, &options) < 0) {
                (void) fputs(usage_text, stderr);
                return EXIT_FAILURE;
        }
        if (options.ends)
                return EXIT_SUCCESS;
        if (read_config(&options, &config) < 0 || enter(&identity) < 0)
                return EXIT_FAILURE;
        return serve(&options, &config, &identity) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

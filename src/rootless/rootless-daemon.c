/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Started by systemd, a service gets sockets and folders; by hand it makes its own. */

#include "rootless-daemon.h"

#include "basic/fd-util.h"
#include "basic/string-util.h"
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

int rootless_parse_options(const RootlessProgram *program, int argc, char **argv, RootlessOptions *ret)
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

        *ret = (RootlessOptions){};
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
        return EXIT_FAILURE + 1;
}

int rootless_enter(const char *socket_unit, Identity *ret)
{
        _cleanup_free_ char *error = NULL;
        int r;

        if (getuid() == 0) {
                log_error("Not as root: start %s, or run as another user", socket_unit);
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

int rootless_find_doors(const char *path, size_t n_max, int *doors, size_t *ret_n)
{
        int n = sd_listen_fds(true), r;

        if (n < 0)
                return n;
        if (n > (int) n_max)
                return -E2BIG;
        for (int i = 0; i < n; i++) {
                r = sd_is_socket_unix(SD_LISTEN_FDS_START + i, SOCK_STREAM, 1, NULL, 0);
                if (r <= 0)
                        return r < 0 ? r : -ENOTSOCK;
                doors[i] = SD_LISTEN_FDS_START + i;
        }
        if (n == 0) {
                if (!path)
                        return -EDESTADDRREQ;
                r = listen_at(path, &doors[0]);
                if (r < 0)
                        return r;
                n = 1;
        }
        *ret_n = (size_t) n;
        return 0;
}

static int make_folder(const char *path)
{
        return mkdir(path, 0711) < 0 && errno != EEXIST ? -errno : 0;
}

int rootless_find_folders(const char *folder, const char *runtime, char **ret_folder, char **ret_runtime)
{
        const char *kept = folder ?: getenv("STATE_DIRECTORY");
        const char *running = runtime ?: getenv("RUNTIME_DIRECTORY");
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

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pipeline-egress: the only way out for the steps of a build that may have one. It has a network, and
 * neither a secret nor a file; who may open its socket is the build service. */

#include "passage.h"
#include "proxy.h"

#include "basic/fd-util.h"
#include "basic/string-util.h"
#include "rootless/doors.h"
#include "shared/daemon-util.h"
#include "shared/log.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PASSAGES_MAX 16U

static const char usage_text[] = "usage: pipeline-egress [--serve JOB | --version | --help]\n"
                                 "\n"
                                 "Lets steps of builds reach public web servers. Started by "
                                 "pipeline-egress.socket; with --serve\n"
                                 "by itself, for the connection that is its standard input.\n";

typedef struct Egress {
        sd_event *event;
        List passages;
} Egress;

static int on_door(sd_event_source *source, int door_fd, uint32_t events, void *userdata)
{
        Egress *egress = userdata;
        int fd = accept4(door_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), r;

        if (fd < 0)
                return 0;
        if (egress->passages.n_members >= PASSAGES_MAX) {
                log_warning("There are too many builds at once");
                close(fd);
                return 0;
        }
        r = passage_new(egress->event, fd, &egress->passages);
        if (r < 0)
                log_warning("A build cannot be served: %s", strerror(-r));
        return 0;
}

static int serve(void)
{
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        Egress egress = {};
        size_t n_doors;
        int door_fd, r;

        r = doors_find(NULL, 1, &door_fd, &n_doors);
        if (r < 0)
                return log_errno(r, "No socket to listen on: start pipeline-egress.socket");
        r = daemon_event_new(NULL, NULL, &event);
        if (r < 0)
                return log_errno(r, "Cannot make an event loop");
        egress.event = event;
        list_init(&egress.passages);
        r = fd_set_nonblock(door_fd, true);
        if (r >= 0)
                r = sd_event_add_io(event, NULL, door_fd, EPOLLIN, on_door, &egress);
        if (r < 0)
                return log_errno(r, "Cannot listen");
        _cleanup_(daemon_notify_stop) _unused_ const char *stop = daemon_notify_ready();
        r = sd_event_loop(event);
        passage_free_all(&egress.passages);
        return r;
}

int main(int argc, char **argv)
{
        log_open("pipeline-egress");
        if (argc == 1)
                return serve() < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        if (argc == 3 && streq(argv[1], "--serve")) {
                proxy_serve(STDIN_FILENO, argv[2]);
                return EXIT_SUCCESS;
        }
        if (argc == 2 && (streq(argv[1], "--help") || streq(argv[1], "--version"))) {
                (void) fputs(streq(argv[1], "--help") ? usage_text : "pipeline-egress " PROJECT_VERSION "\n",
                             stdout);
                return EXIT_SUCCESS;
        }
        (void) fputs(usage_text, stderr);
        return EXIT_USAGE;
}

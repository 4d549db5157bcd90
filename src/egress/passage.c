/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a build sends is read in its connections' own processes; here come one name and one descriptor, from
 * the build service's children. */

#include "passage.h"

#include "basic/fd-util.h"
#include "proto/name.h"
#include "rootless/child.h"
#include "shared/log.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define JOB_ID_SIZE     32U
#define CONNECTIONS_MAX 64U /* at once; further ones wait */

typedef struct Connection {
        Passage *passage;
        Child *child;
        ListLink link;
        int fd; /* in its process, and here until that is started */
} Connection;

struct Passage {
        sd_event *event;
        sd_event_source *peer, *listener;
        List *passages;
        ListLink link;
        List connections;
        char job[JOB_ID_SIZE + 1];
};

static void connection_free(Connection *connection)
{
        list_remove(&connection->passage->connections, &connection->link);
        child_free(connection->child);
        safe_close(connection->fd);
        free(connection);
}

static void passage_free(Passage *passage)
{
        LIST_FOREACH(Connection, connection, &passage->connections, link)
                connection_free(connection);
        list_remove(passage->passages, &passage->link);
        sd_event_source_disable_unref(passage->listener);
        sd_event_source_disable_unref(passage->peer);
        free(passage);
}

void passage_free_all(List *passages)
{
        LIST_FOREACH(Passage, passage, passages, link)
                passage_free(passage);
}

/* Connections */

/* The program anew, which has nothing of its parent's: neither memory nor a descriptor. */
static int serve(void *userdata)
{
        Connection *connection = userdata;
        char *argv[] = { (char *) "pipeline-egress", (char *) "--serve", connection->passage->job, NULL };

        if (dup2(connection->fd, STDIN_FILENO) < 0 || close_range(STDERR_FILENO + 1, ~0U, 0) < 0)
                return EXIT_FAILURE;
        (void) execv("/proc/self/exe", argv);
        return EXIT_FAILURE;
}

static void on_served(Child *child, int status, void *userdata)
{
        Connection *connection = userdata;
        Passage *passage = connection->passage;

        if (status != 0)
                log_warning("A connection of build %s ended with %d", passage->job, status);
        connection_free(connection);
        if (sd_event_source_set_enabled(passage->listener, SD_EVENT_ON) < 0)
                passage_free(passage);
}

static int start_connection(Passage *passage, int fd)
{
        Connection *connection = calloc(1, sizeof(Connection));
        int r;

        if (!connection) {
                safe_close(fd);
                return -ENOMEM;
        }
        connection->passage = passage;
        connection->fd = fd;
        list_append(&passage->connections, &connection->link);
        r = child_start(passage->event, serve, on_served, connection, &fd, 1, &connection->child);
        connection->fd = safe_close(fd);
        if (r < 0)
                connection_free(connection);
        return r;
}

static int on_listener(sd_event_source *source, int listener_fd, uint32_t events, void *userdata)
{
        Passage *passage = userdata;
        int fd = accept4(listener_fd, NULL, NULL, SOCK_CLOEXEC), r;

        if (fd < 0) {
                if (errno != EAGAIN && errno != ECONNABORTED)
                        log_warning("A connection of build %s cannot be accepted: %s", passage->job,
                                    strerror(errno));
                return 0;
        }
        r = start_connection(passage, fd);
        if (r < 0)
                log_warning("A connection of build %s cannot be served: %s", passage->job, strerror(-r));
        if (passage->connections.n_members >= CONNECTIONS_MAX)
                return sd_event_source_set_enabled(source, SD_EVENT_OFF);
        return 0;
}

/* The peer */

static bool listens(int fd)
{
        int yes = 0, domain = 0;
        socklen_t size = sizeof(int);

        return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &size) == 0 && yes &&
               getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_INET;
}

static int take_listener(Passage *passage, int peer_fd)
{
        _cleanup_close_ int fd = -EBADF;
        ssize_t n = fd_receive(peer_fd, passage->job, sizeof(passage->job) - 1, &fd);
        int r;

        if (n <= 0)
                return n < 0 ? (int) n : -EPIPE;
        if (!job_id_is_valid(passage->job) || fd < 0 || !listens(fd))
                return -EBADMSG;
        r = fd_set_nonblock(fd, true);
        if (r >= 0)
                r = sd_event_add_io(passage->event, &passage->listener, fd, EPOLLIN, on_listener, passage);
        if (r >= 0)
                r = sd_event_source_set_io_fd_own(passage->listener, true);
        if (r >= 0)
                fd = -EBADF;
        if (r >= 0 && send(peer_fd, "", 1, MSG_NOSIGNAL) < 0)
                r = -errno;
        if (r >= 0)
                log_struct(LOG_INFO, LOG_FIELDS({ "PIPELINE_JOB", passage->job }),
                           "Build %s may go to public addresses", passage->job);
        return r;
}

static int on_peer(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        Passage *passage = userdata;
        int r = passage->listener ? -EPIPE : take_listener(passage, fd);

        if (r < 0 && r != -EPIPE)
                log_warning("The build service sent no listening socket: %s", strerror(-r));
        if (r < 0)
                passage_free(passage);
        return 0;
}

int passage_new(sd_event *event, int peer_fd, List *passages)
{
        Passage *passage = calloc(1, sizeof(Passage));
        int r;

        if (!passage) {
                safe_close(peer_fd);
                return -ENOMEM;
        }
        passage->event = event;
        passage->passages = passages;
        list_init(&passage->connections);
        list_append(passages, &passage->link);
        r = sd_event_add_io(event, &passage->peer, peer_fd, EPOLLIN, on_peer, passage);
        if (r < 0) {
                safe_close(peer_fd);
                passage_free(passage);
                return r;
        }
        r = sd_event_source_set_io_fd_own(passage->peer, true);
        if (r < 0)
                passage_free(passage);
        return r;
}

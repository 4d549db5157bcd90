/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A connection that is closed in the middle of its own event is freed from the event loop, not before. */

#include "order-server.h"

#include "connection.h"

#include "basic/fd-util.h"
#include "shared/log.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static int on_door(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), r;

        if (connection < 0) {
                if (errno != EAGAIN && errno != ECONNABORTED)
                        log_warning("Cannot accept a connection: %s", strerror(errno));
                return 0;
        }
        r = connection_new(userdata, fd, connection);
        if (r < 0)
                log_warning("Cannot serve a connection: %s", strerror(-r));
        return 0;
}

static int on_reap(sd_event_source *source, void *userdata)
{
        OrderServer *server = userdata;

        LIST_FOREACH(Connection, connection, &server->closed, link) {
                list_remove(&server->closed, &connection->link);
                connection_free(connection);
        }
        return 0;
}

static int add_doors(OrderServer *server, const int *doors, size_t n_doors)
{
        for (size_t i = 0; i < n_doors; i++) {
                int r = fd_set_nonblock(doors[i], true);

                if (r < 0)
                        return r;
                r = sd_event_add_io(server->event, &server->doors[i], doors[i], EPOLLIN, on_door, server);
                if (r < 0)
                        return r;
                r = sd_event_source_set_io_fd_own(server->doors[i], true);
                if (r < 0)
                        return r;
        }
        return 0;
}

int order_server_start(OrderServer *server, const int *doors, size_t n_doors)
{
        int r;

        if (n_doors > ORDER_DOORS_MAX)
                return -E2BIG;
        list_init(&server->connections);
        list_init(&server->closed);
        r = sd_event_add_defer(server->event, &server->reap, on_reap, server);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(server->reap, SD_EVENT_OFF);
        return r < 0 ? r : add_doors(server, doors, n_doors);
}

void order_server_done(OrderServer *server)
{
        if (!server->reap)
                return;
        for (size_t i = 0; i < ORDER_DOORS_MAX; i++)
                server->doors[i] = sd_event_source_disable_unref(server->doors[i]);
        LIST_FOREACH(Connection, connection, &server->connections, link)
                connection_close(connection);
        LIST_FOREACH(Connection, connection, &server->closed, link)
                connection_free(connection);
        server->reap = sd_event_source_disable_unref(server->reap);
}

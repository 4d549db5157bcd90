/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each listener has a ZAP domain, set before its bind: from it follows who a peer is. Plain text is taken on
 * the unix socket and on loopback only: beyond it, everybody would be anybody.
 *
 * libzmq ignores the address of a bind whose descriptor it was given (ZMQ_USE_FD), takes a descriptor that
 * nobody listens on without a word, and aborts the process where the option still stands at the next bind.
 */

#include "listen.h"

#include "principal.h"

#include "basic/string-util.h"
#include "proto/peer-message.h"
#include "shared/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <zmq.h>

static const struct {
        int option, value;
} socket_options[] = {
        { ZMQ_ROUTER_MANDATORY, 1 }, /* who is gone is told, not dropped silently */
        { ZMQ_LINGER, 1000 },
        { ZMQ_SNDHWM, 1000 }, /* messages a peer; who does not read loses theirs, nobody else's */
        { ZMQ_RCVHWM, 1000 },
        { ZMQ_HANDSHAKE_IVL, 5000 },
        { ZMQ_HEARTBEAT_IVL, 5000 },
        { ZMQ_HEARTBEAT_TIMEOUT, 15000 },
        { ZMQ_HEARTBEAT_TTL, 20000 },
        { ZMQ_BACKLOG, 1024 },
        { ZMQ_IPV6, 1 },
};

int listen_new_socket(void *context, void **ret)
{
        int64_t size_max = PEER_PART_SIZE_MAX;
        void *socket = zmq_socket(context, ZMQ_ROUTER);
        bool is_set;

        if (!socket)
                return -errno;
        is_set = zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &size_max, sizeof(size_max)) == 0;
        for (size_t i = 0; i < ARRAY_SIZE(socket_options) && is_set; i++)
                is_set = zmq_setsockopt(socket, socket_options[i].option, &socket_options[i].value,
                                        sizeof(int)) == 0;
        if (!is_set) {
                int r = -errno;

                (void) zmq_close(socket);
                return r;
        }
        *ret = socket;
        return 0;
}

static int bind_in_domain(void *socket, const char *domain, const char *address)
{
        if (zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, domain, strlen(domain)) < 0)
                return -errno;
        return zmq_bind(socket, address) < 0 ? -errno : 0;
}

static int refuse_beyond_loopback(const char *address)
{
        log_error("Not listening at %s: beyond loopback everybody could be anybody; use the unix socket, or "
                  "loopback "
                  "behind a tunnel",
                  address);
        return -EPERM;
}

/* Adopting */

typedef union Address {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
} Address;

static bool address_is_loopback(const Address *address)
{
        if (address->any.sa_family == AF_INET)
                return ntohl(address->in.sin_addr.s_addr) >> 24 == 127;
        return address->any.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&address->in6.sin6_addr);
}

static int adopt_one(void *socket, int fd)
{
        static const int none = -1;
        char host[INET6_ADDRSTRLEN] = "", bound[sizeof(((Address *) NULL)->un.sun_path) + 8];
        Address address = {};
        socklen_t size = sizeof(address);
        bool is_unix = sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) > 0;
        int r;

        if (!is_unix && sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0)
                return -ENOTSOCK;
        if (getsockname(fd, &address.any, &size) < 0)
                return -errno;
        if (!is_unix && !address_is_loopback(&address)) {
                (void) inet_ntop(address.any.sa_family,
                                 address.any.sa_family == AF_INET ? (const void *) &address.in.sin_addr
                                                                  : (const void *) &address.in6.sin6_addr,
                                 host, sizeof(host));
                return refuse_beyond_loopback(host);
        }
        (void) snprintf(bound, sizeof(bound), is_unix ? "ipc://%s" : "tcp://127.0.0.1:*",
                        address.un.sun_path);
        if (zmq_setsockopt(socket, ZMQ_USE_FD, &fd, sizeof(fd)) < 0)
                return -errno;
        r = bind_in_domain(socket, is_unix ? DOMAIN_UNIX : DOMAIN_LOOPBACK, bound);
        if (zmq_setsockopt(socket, ZMQ_USE_FD, &none, sizeof(none)) < 0)
                return -errno;
        return r;
}

int listen_adopt(void *socket)
{
        int n = sd_listen_fds(true);

        for (int i = 0; i < n; i++) {
                int r = adopt_one(socket, SD_LISTEN_FDS_START + i);

                if (r < 0)
                        return r;
        }
        return n;
}

/* Its own */

static bool is_loopback_address(const char *tcp)
{
        return string_after(tcp, "127.") || string_after(tcp, "[::1]:") || string_after(tcp, "localhost:");
}

int listen_bind(void *socket, const char *address)
{
        const char *tcp = string_after(address, "tcp://");

        if (string_after(address, "ipc://"))
                return bind_in_domain(socket, DOMAIN_UNIX, address);
        if (!tcp)
                return -EINVAL;
        return is_loopback_address(tcp) ? bind_in_domain(socket, DOMAIN_LOOPBACK, address)
                                        : refuse_beyond_loopback(address);
}

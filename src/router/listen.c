/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each listener has a ZAP domain, set before its bind: from it follows who a peer is. Plain text is taken on
 * the unix socket and on loopback only: beyond it, everybody would be anybody, and so each peer there needs
 * a key (CURVE). All listeners are of one socket: libzmq copies its options at the bind.
 *
 * libzmq ignores the address of a bind whose descriptor it was given (ZMQ_USE_FD), takes a
 * descriptor that nobody listens on without a word, and aborts the process where the option still
 * stands at the next bind. */

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

/* Nobody comes in unasked, even if the handler of ZAP were gone. The header counts the option among drafts;
 * the library has it in any build, and one that has not is as good with a handler that is always there. */
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif

int listen_new_socket(void *context, void **ret)
{
        static const int one = 1;
        int64_t size_max = PEER_PART_SIZE_MAX;
        void *socket = zmq_socket(context, ZMQ_ROUTER);
        bool is_set;

        if (!socket)
                return -errno;
        (void) zmq_setsockopt(socket, ZMQ_ZAP_ENFORCE_DOMAIN, &one, sizeof(one));
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

static int set_option(void *socket, int option, int value)
{
        return zmq_setsockopt(socket, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int refuse_beyond_loopback(const char *address)
{
        log_error("Not listening at %s: beyond loopback every peer needs a key, and so does the router, "
                  "which has none; `pipelinectl keys new-router` makes it, `pipelinectl keys new NAME "
                  "--role ROLE` that of a peer, see pipeline-router(8)",
                  address);
        return -EPERM;
}

/* With keys, and back to plain text for what is bound next. */
static int bind_with_keys(void *socket, const char *secret, const char *address)
{
        int r = 0, back;

        if (zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret, strlen(secret)) < 0)
                r = -errno;
        if (r == 0)
                r = set_option(socket, ZMQ_CURVE_SERVER, 1);
        if (r == 0)
                r = bind_in_domain(socket, DOMAIN_KEYS, address);
        back = set_option(socket, ZMQ_CURVE_SERVER, 0);
        return r < 0 ? r : back;
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

static int describe(int fd, bool *ret_is_unix, bool *ret_is_loopback, char *ret_text, size_t size)
{
        char host[INET6_ADDRSTRLEN] = "";
        Address address = {};
        socklen_t address_size = sizeof(address);
        bool is_unix = sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) > 0;

        if (!is_unix && sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0)
                return -ENOTSOCK;
        if (getsockname(fd, &address.any, &address_size) < 0)
                return -errno;
        if (is_unix)
                (void) snprintf(ret_text, size, "ipc://%s", address.un.sun_path);
        else {
                bool is_in = address.any.sa_family == AF_INET;

                (void) inet_ntop(address.any.sa_family,
                                 is_in ? (const void *) &address.in.sin_addr
                                       : (const void *) &address.in6.sin6_addr,
                                 host, sizeof(host));
                (void) snprintf(ret_text, size, is_in ? "tcp://%s:%u" : "tcp://[%s]:%u", host,
                                ntohs(is_in ? address.in.sin_port : address.in6.sin6_port));
        }
        *ret_is_unix = is_unix;
        *ret_is_loopback = !is_unix && address_is_loopback(&address);
        return 0;
}

int listen_adopt(void *socket, const char *secret, int fd)
{
        char text[sizeof(((Address *) NULL)->un.sun_path) + 8];
        bool is_unix, is_loopback;
        int r = describe(fd, &is_unix, &is_loopback, text, sizeof(text)), back;

        if (r < 0)
                return r;
        if (!is_unix && !is_loopback && !secret)
                return refuse_beyond_loopback(text);
        r = set_option(socket, ZMQ_USE_FD, fd);
        if (r < 0)
                return r;
        if (is_unix || is_loopback)
                r = bind_in_domain(socket, is_unix ? DOMAIN_UNIX : DOMAIN_LOOPBACK, text);
        else
                r = bind_with_keys(socket, secret, text);
        back = set_option(socket, ZMQ_USE_FD, -1);
        return r < 0 ? r : back;
}

/* Its own */

static bool is_loopback_address(const char *tcp)
{
        return string_after(tcp, "127.") || string_after(tcp, "[::1]:") || string_after(tcp, "localhost:");
}

int listen_bind(void *socket, const char *secret, const char *address)
{
        const char *tcp = string_after(address, "tcp://");

        if (string_after(address, "ipc://"))
                return bind_in_domain(socket, DOMAIN_UNIX, address);
        if (!tcp)
                return -EINVAL;
        if (is_loopback_address(tcp))
                return bind_in_domain(socket, DOMAIN_LOOPBACK, address);
        return secret ? bind_with_keys(socket, secret, address) : refuse_beyond_loopback(address);
}

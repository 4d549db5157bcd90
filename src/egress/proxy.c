/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A name is looked up once, here, and only an address that is public is connected to: so no answer of a name
 * server leads inside, and none that changes does. */

#include "proxy.h"

#include "proxy-request.h"

#include "basic/address-util.h"
#include "basic/fd-util.h"
#include "basic/string-util.h"
#include "basic/time-util.h"
#include "shared/log.h"

#include <ifaddrs.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/time.h>

#define HEAD_SECONDS       30
#define CONNECT_SECONDS    15
#define IDLE_MSEC          (300 * 1000)
#define CHUNK_SIZE         (64U * 1024U)
#define ANSWER_SIZE_MAX    1024U
#define LAST_SECONDS       1
#define LAST_READS         64U
#define SOCKET_BUFFER_SIZE (256 * 1024)

typedef struct Exchange {
        int client_fd;
        const char *job;
        char data[PROXY_HEAD_SIZE_MAX]; /* as it came: the head, and what is behind it */
        size_t size, head_size;
        ProxyRequest request;
} Exchange;

/* Sockets */

static int set_timeout(int fd, int option, int seconds)
{
        const struct timeval time = { .tv_sec = seconds };

        return setsockopt(fd, SOL_SOCKET, option, &time, sizeof(time)) < 0 ? -errno : 0;
}

/* What waits in the kernel for who does not read is of no build's memory: so it is not much. */
static int limit_buffers(int fd)
{
        const int size = SOCKET_BUFFER_SIZE;

        return setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) < 0 ||
                               setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) < 0
                       ? -errno
                       : 0;
}

/* Answers of our own */

static void say(const Exchange *exchange, int level, const char *what)
{
        char port[8];

        (void) snprintf(port, sizeof(port), "%u", exchange->request.port);
        log_struct(level,
                   LOG_FIELDS({ "PIPELINE_JOB", exchange->job }, { "PIPELINE_HOST", exchange->request.host },
                              { "PIPELINE_PORT", port }),
                   "Build %s and %s port %s: %s", exchange->job, exchange->request.host, port, what);
}

/* The reason is what most programs show of an answer. */
static void answer(const Exchange *exchange, unsigned status, const char *reason)
{
        char text[ANSWER_SIZE_MAX];
        int size = snprintf(text, sizeof(text),
                            "HTTP/1.1 %u %s\r\nConnection: close\r\nContent-Type: text/plain\r\n"
                            "Content-Length: %zu\r\n\r\n%s\n",
                            status, reason, strlen(reason) + 1, reason);

        if (send(exchange->client_fd, text, (size_t) size, MSG_NOSIGNAL) < 0 ||
            shutdown(exchange->client_fd, SHUT_WR) < 0 ||
            set_timeout(exchange->client_fd, SO_RCVTIMEO, LAST_SECONDS) < 0)
                return;
        /* What is left unread would take the answer away with it. */
        for (unsigned i = 0; i < LAST_READS; i++)
                if (recv(exchange->client_fd, text, sizeof(text), 0) <= 0)
                        return;
}

static int refuse(const Exchange *exchange, unsigned status, const char *reason)
{
        say(exchange, LOG_NOTICE, reason);
        answer(exchange, status, reason);
        return -EACCES;
}

/* The request */

static int read_head(Exchange *exchange)
{
        usec_t deadline = now_usec(CLOCK_MONOTONIC) + HEAD_SECONDS * USEC_PER_SEC;

        while (exchange->head_size == 0) {
                ssize_t n = recv(exchange->client_fd, exchange->data + exchange->size,
                                 sizeof(exchange->data) - exchange->size, 0);

                if (n <= 0 || now_usec(CLOCK_MONOTONIC) > deadline)
                        return -EPIPE;
                exchange->size += (size_t) n;
                exchange->head_size = proxy_head_size(exchange->data, exchange->size);
                if (exchange->head_size == 0 && exchange->size == sizeof(exchange->data)) {
                        answer(exchange, 431, "the request is too long");
                        return -EMSGSIZE;
                }
        }
        return 0;
}

static int read_request(Exchange *exchange)
{
        const char *error = NULL;
        int r = set_timeout(exchange->client_fd, SO_RCVTIMEO, HEAD_SECONDS);

        if (r >= 0)
                r = limit_buffers(exchange->client_fd);
        if (r >= 0)
                r = read_head(exchange);
        if (r >= 0)
                r = proxy_request_parse(exchange->data, exchange->head_size, &exchange->request, &error);
        if (r > 0)
                answer(exchange, 400, error);
        return r > 0 ? -EBADMSG : r;
}

/* Its server */

/* Public, none of this machine's own, and none of the networks that it is in: those are neighbours. */
static bool may_connect(const struct sockaddr *address, const struct ifaddrs *own)
{
        if (!address_is_public(address))
                return false;
        for (; own; own = own->ifa_next)
                if (own->ifa_addr && address_is_near(address, own->ifa_addr, own->ifa_netmask))
                        return false;
        return true;
}

static int connect_to(const struct addrinfo *address)
{
        _cleanup_close_ int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int r = fd < 0 ? -errno : set_timeout(fd, SO_SNDTIMEO, CONNECT_SECONDS);

        if (r >= 0)
                r = limit_buffers(fd);
        if (r < 0)
                return r;
        return connect(fd, address->ai_addr, address->ai_addrlen) < 0 ? -errno : TAKE_FD(fd);
}

/* Which names there are inside is not for builds to know. */
static int refuse_name(const Exchange *exchange)
{
        return refuse(exchange, 403, "there is no public address of that name");
}

static int connect_to_first(const Exchange *exchange, const struct addrinfo *addresses)
{
        struct ifaddrs *own = NULL;
        bool is_inside = false;
        int fd = -ENETUNREACH;

        if (getifaddrs(&own) < 0)
                return refuse(exchange, 503, "what this host's own addresses are cannot be found out");
        for (const struct addrinfo *a = addresses; a && fd < 0; a = a->ai_next) {
                if (may_connect(a->ai_addr, own))
                        fd = connect_to(a);
                else
                        is_inside = true;
        }
        freeifaddrs(own);
        if (fd >= 0)
                return fd;
        if (!is_inside)
                return refuse(exchange, 502, "the server cannot be reached");
        say(exchange, LOG_NOTICE, "that leads inside");
        return refuse_name(exchange);
}

static int connect_to_server(const Exchange *exchange)
{
        const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
                                        .ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG };
        const ProxyRequest *request = &exchange->request;
        struct addrinfo *addresses = NULL;
        char port[8];
        int fd, r;

        if (request->port != (request->is_tunnel ? 443 : 80))
                return refuse(exchange, 403, "builds may use http at port 80 and CONNECT to port 443 alone");
        (void) snprintf(port, sizeof(port), "%u", request->port);
        r = getaddrinfo(request->host, port, &hints, &addresses);
        if (r != 0) {
                say(exchange, LOG_NOTICE, gai_strerror(r));
                return refuse_name(exchange);
        }
        fd = connect_to_first(exchange, addresses);
        freeaddrinfo(addresses);
        return fd;
}

/* The bytes between them */

typedef struct Way {
        int from, to;
        char data[CHUNK_SIZE];
        size_t size, sent;
        uint64_t left; /* to be read yet, at most */
        bool is_over;
} Way;

static struct pollfd wanted(const Way *way)
{
        if (way->is_over)
                return (struct pollfd){ .fd = -1 };
        return way->sent < way->size ? (struct pollfd){ .fd = way->to, .events = POLLOUT }
                                     : (struct pollfd){ .fd = way->from, .events = POLLIN };
}

/* < 0: neither side is to be served any more. What comes behind all that was due is another request: its
 * sender is to open a connection for it. */
static int go_on(Way *way)
{
        size_t room = (size_t) MIN((uint64_t) sizeof(way->data), MAX(way->left, UINT64_C(1)));
        bool sends = way->sent < way->size;
        ssize_t n = sends ? send(way->to, way->data + way->sent, way->size - way->sent, MSG_NOSIGNAL)
                          : recv(way->from, way->data, room, 0);

        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        if (sends)
                way->sent += (size_t) n;
        else if ((uint64_t) n > way->left)
                return -EBADMSG;
        else {
                way->size = (size_t) n;
                way->sent = 0;
                way->left -= (uint64_t) n;
                way->is_over = n == 0;
        }
        return way->is_over && shutdown(way->to, SHUT_WR) < 0 ? -errno : 0;
}

static void relay(Way *ways)
{
        while (!ways[0].is_over || !ways[1].is_over) {
                struct pollfd fds[2] = { wanted(&ways[0]), wanted(&ways[1]) };

                if (poll(fds, 2, IDLE_MSEC) <= 0)
                        return;
                for (size_t i = 0; i < 2; i++)
                        if (fds[i].revents != 0 && go_on(&ways[i]) < 0)
                                return;
        }
}

/* What is to be sent first, each way. */
static int begin(const Exchange *exchange, Way *up, Way *down)
{
        static const char yes[] = "HTTP/1.1 200 it is connected\r\n\r\n";
        const ProxyRequest *request = &exchange->request;
        size_t rest = exchange->size - exchange->head_size;

        up->left = down->left = UINT64_MAX;
        if (!request->is_tunnel) {
                rest = MIN(rest, request->body_size);
                up->left = request->body_size - rest;
        }
        if (request->head.size + rest > sizeof(up->data))
                return -EMSGSIZE;
        if (request->head.size > 0)
                memcpy(up->data, request->head.data, request->head.size);
        memcpy(up->data + request->head.size, exchange->data + exchange->head_size, rest);
        up->size = request->head.size + rest;
        if (request->is_tunnel) {
                memcpy(down->data, yes, sizeof(yes) - 1);
                down->size = sizeof(yes) - 1;
        }
        return fd_set_nonblock(up->from, true) < 0 || fd_set_nonblock(up->to, true) < 0 ? -errno : 0;
}

void proxy_serve(int client_fd, const char *job)
{
        static Exchange exchange;
        static Way ways[2];
        _cleanup_close_ int server_fd = -EBADF;

        exchange = (Exchange){ .client_fd = client_fd, .job = job };
        server_fd = read_request(&exchange) < 0 ? -EBADMSG : connect_to_server(&exchange);
        if (server_fd >= 0) {
                say(&exchange, LOG_INFO, "connected");
                ways[0] = (Way){ .from = client_fd, .to = server_fd };
                ways[1] = (Way){ .from = server_fd, .to = client_fd };
                if (begin(&exchange, &ways[0], &ways[1]) >= 0)
                        relay(ways);
        }
        proxy_request_done(&exchange.request);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* As little of HTTP/1 as a scraper needs. A connection is read until the empty line, answered, and closed.
 * Nothing waits for it: sockets are non-blocking, it has a deadline, and when there are too many the oldest
 * goes. What it asks is looked at in its first line only. */

#include "metrics.h"

#include "metrics-request.h"

#include "basic/fd-util.h"
#include "basic/list.h"
#include "basic/string-util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define N_LISTENERS_MAX   8U
#define N_CONNECTIONS_MAX 16U
#define DEADLINE_USEC     (5 * USEC_PER_SEC)
#define PAUSE_USEC        USEC_PER_SEC

struct Metrics {
        sd_event *event; /* borrowed */
        MetricsHandler write;
        void *userdata;
        List connections; /* owned; the oldest first */
        struct {
                int fd;
                sd_event_source *source;
        } listeners[N_LISTENERS_MAX];
        size_t n_listeners;
        sd_event_source *resume;
};

typedef struct Connection {
        Metrics *metrics;
        int fd;
        sd_event_source *source, *deadline;
        char request[METRICS_REQUEST_SIZE_MAX];
        size_t request_size;
        Buffer answer;
        size_t sent;
        ListLink link;
} Connection;

static void connection_free(Connection *c)
{
        list_remove(&c->metrics->connections, &c->link);
        sd_event_source_disable_unref(c->source);
        sd_event_source_disable_unref(c->deadline);
        safe_close(c->fd);
        buffer_done(&c->answer);
        free(c);
}

/* Answering */

static int put_answer(Connection *c, const char *status, const char *type, Bytes body)
{
        _cleanup_free_ char *head =
                string_format("HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                              "Connection: close\r\n\r\n",
                              status, type, body.size);
        int r = head ? buffer_append(&c->answer, head, strlen(head), SIZE_MAX) : -ENOMEM;

        return r < 0 ? r : buffer_append(&c->answer, body.data, body.size, SIZE_MAX);
}

static int put_refusal(Connection *c, const char *status)
{
        _cleanup_free_ char *text = string_format("%s\n", status);

        return text ? put_answer(c, status, "text/plain", (Bytes){ text, strlen(text) }) : -ENOMEM;
}

static int put_metrics(Connection *c)
{
        MetricWriter writer = {};
        int r;

        c->metrics->write(&writer, c->metrics->userdata);
        metric_end(&writer);
        if (writer.error == 0)
                r = put_answer(c, "200 OK", METRIC_CONTENT_TYPE,
                               (Bytes){ writer.text.data, writer.text.size });
        else
                r = put_refusal(c, "500 Internal Server Error");
        buffer_done(&writer.text);
        return r;
}

static int answer(Connection *c, unsigned status)
{
        switch (status) {
        case 200:
                return put_metrics(c);
        case 404:
                return put_refusal(c, "404 Not Found");
        case 405:
                return put_refusal(c, "405 Method Not Allowed");
        case 431:
                return put_refusal(c, "431 Request Header Fields Too Large");
        default:
                return put_refusal(c, "400 Bad Request");
        }
}

/* Reading and writing: each 0 while there is more to wait for, 1 when it is over with the
 * connection, < 0. */

static int take_request(Connection *c)
{
        ssize_t n = read(c->fd, c->request + c->request_size, sizeof(c->request) - c->request_size);
        unsigned status;
        int r;

        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : 1;
        if (n == 0)
                return 1;
        c->request_size += (size_t) n;
        status = metrics_request_parse(c->request, c->request_size);
        if (status == 0)
                return 0;
        r = answer(c, status);
        return r < 0 ? r : sd_event_source_set_io_events(c->source, EPOLLOUT);
}

static int give_answer(Connection *c)
{
        ssize_t n = send(c->fd, c->answer.data + c->sent, c->answer.size - c->sent, MSG_NOSIGNAL);

        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : 1;
        c->sent += (size_t) n;
        return c->sent == c->answer.size;
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        Connection *c = userdata;
        int r = c->answer.size > 0 ? give_answer(c) : take_request(c);

        if (r != 0)
                connection_free(c);
        return r == -ENOMEM ? r : 0;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
        connection_free(userdata);
        return 0;
}

/* Listening */

/* Takes the descriptor over. */
static int connection_new(Metrics *metrics, int fd)
{
        Connection *c = calloc(1, sizeof(Connection));
        int r;

        if (!c) {
                safe_close(fd);
                return -ENOMEM;
        }
        if (metrics->connections.n_members >= N_CONNECTIONS_MAX)
                connection_free(CONTAINER_OF(list_first(&metrics->connections), Connection, link));
        c->metrics = metrics;
        c->fd = fd;
        list_append(&metrics->connections, &c->link);
        r = sd_event_add_io(metrics->event, &c->source, fd, EPOLLIN, on_io, c);
        if (r >= 0)
                r = sd_event_add_time_relative(metrics->event, &c->deadline, CLOCK_MONOTONIC, DEADLINE_USEC,
                                               USEC_PER_MSEC, on_deadline, c);
        if (r < 0)
                connection_free(c);
        return r < 0 ? r : 0;
}

static int set_listening(Metrics *metrics, int enabled)
{
        int r = 0;

        for (size_t i = 0; i < metrics->n_listeners && r >= 0; i++)
                r = sd_event_source_set_enabled(metrics->listeners[i].source, enabled);
        return r < 0 ? r : 0;
}

static int on_resume(sd_event_source *source, uint64_t usec, void *userdata)
{
        return set_listening(userdata, SD_EVENT_ON);
}

static int on_listener(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), r;
        Metrics *metrics = userdata;

        if (accepted >= 0)
                return connection_new(metrics, accepted);
        if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM)
                return 0;
        /* No descriptor is left: asking again at once would find none either. */
        r = set_listening(metrics, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_source_set_time_relative(metrics->resume, PAUSE_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(metrics->resume, SD_EVENT_ONESHOT);
}

Metrics *metrics_free(Metrics *metrics)
{
        if (!metrics)
                return NULL;
        LIST_FOREACH(Connection, c, &metrics->connections, link)
                connection_free(c);
        sd_event_source_disable_unref(metrics->resume);
        for (size_t i = 0; i < metrics->n_listeners; i++) {
                sd_event_source_disable_unref(metrics->listeners[i].source);
                safe_close(metrics->listeners[i].fd);
        }
        free(metrics);
        return NULL;
}

int metrics_new(sd_event *event, MetricsHandler write, void *userdata, Metrics **ret)
{
        Metrics *metrics = calloc(1, sizeof(Metrics));
        int r;

        if (!metrics)
                return -ENOMEM;
        metrics->event = event;
        metrics->write = write;
        metrics->userdata = userdata;
        list_init(&metrics->connections);
        r = sd_event_add_time_relative(event, &metrics->resume, CLOCK_MONOTONIC, 0, 0, on_resume, metrics);
        if (r < 0) {
                metrics_free(metrics);
                return r;
        }
        *ret = metrics;
        return 0;
}

int metrics_add_listener(Metrics *metrics, int fd)
{
        sd_event_source *source = NULL;
        int r = metrics->n_listeners < N_LISTENERS_MAX ? fd_set_nonblock(fd, true) : -E2BIG;

        if (r >= 0)
                r = sd_event_add_io(metrics->event, &source, fd, EPOLLIN, on_listener, metrics);
        if (r >= 0) /* jobs first */
                r = sd_event_source_set_priority(source, SD_EVENT_PRIORITY_IDLE);
        if (r < 0) {
                sd_event_source_disable_unref(source);
                safe_close(fd);
                return r;
        }
        metrics->listeners[metrics->n_listeners].fd = fd;
        metrics->listeners[metrics->n_listeners++].source = source;
        return 0;
}

/* The process */

static uint64_t resident_bytes(void)
{
        _cleanup_free_ char *text = NULL;
        unsigned long total, resident;

        if (read_file_at(AT_FDCWD, "/proc/self/statm", 1024, &text, NULL) < 0 ||
            sscanf(text, "%lu %lu", &total, &resident) != 2)
                return 0;
        return resident * (uint64_t) sysconf(_SC_PAGESIZE);
}

static uint64_t count_descriptors(void)
{
        DIR *dir = opendir("/proc/self/fd");
        uint64_t n = 0;

        if (!dir)
                return 0;
        for (struct dirent *entry; (entry = readdir(dir));)
                n += entry->d_name[0] != '.';
        (void) closedir(dir);
        return n - 1;
}

static usec_t cpu_usec(void)
{
        struct rusage usage;

        if (getrusage(RUSAGE_SELF, &usage) < 0)
                return 0;
        return (usec_t) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * USEC_PER_SEC +
               (usec_t) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

void metrics_write_process(MetricWriter *w)
{
        struct rlimit limit = {};

        (void) getrlimit(RLIMIT_NOFILE, &limit);
        metric_family(w, "process_cpu_seconds", "counter", "seconds", "CPU time of the router.");
        metric_counter_usec(w, NULL, cpu_usec());
        metric_family(w, "process_resident_memory_bytes", "gauge", "bytes", "Memory of the router.");
        metric_gauge(w, NULL, resident_bytes());
        metric_family(w, "process_open_fds", "gauge", NULL, "Open descriptors of the router.");
        metric_gauge(w, NULL, count_descriptors());
        metric_family(w, "process_max_fds", "gauge", NULL, "The most it may have open.");
        metric_gauge(w, NULL, limit.rlim_cur);
}

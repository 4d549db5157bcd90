/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libcurl says which sockets and which time it waits for; the event loop waits, and has it act. It
 * calls back only while it acts, and never to end a transfer: those that ended are collected after it
 * acted, and are out of the multi handle when their owners hear of it, so an owner may free or add
 * whatever it likes. */

#include "curl-source.h"

#include "basic/time-util.h"

#include <errno.h>
#include <sys/epoll.h>

#define TIMER_ACCURACY USEC_PER_MSEC
#define IDLE_CACHE_MAX 16L /* connections that are kept for the next transfer */

struct CurlSource {
        sd_event *event; /* borrowed */
        CURLM *multi;
        sd_event_source *timer;
        size_t n_jobs;
};

/* libcurl is initialised once for the process, before any thread is made; it stays so. */
static int global_init(void)
{
        static bool is_done;

        if (!is_done && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                return -EIO;
        is_done = true;
        return 0;
}

static int collect(CurlSource *source)
{
        CURLMsg *message;
        int r = 0, n;

        while (r >= 0 && (message = curl_multi_info_read(source->multi, &n))) {
                CURLcode result = message->data.result; /* the message goes with the handle */
                CURL *easy = message->easy_handle;
                CurlJob *job;

                if (message->msg != CURLMSG_DONE)
                        continue;
                (void) curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **) &job);
                curl_source_remove(source, job);
                r = job->ended(job, result);
        }
        return r < 0 ? r : 0;
}

static int act(CurlSource *source, curl_socket_t fd, int events)
{
        int n;

        if (curl_multi_socket_action(source->multi, fd, events, &n) != CURLM_OK)
                return -EIO;
        return collect(source);
}

static int on_io(sd_event_source *io, int fd, uint32_t events, void *userdata)
{
        int what = (events & EPOLLIN ? CURL_CSELECT_IN : 0) | (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                   (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);

        return act(userdata, fd, what);
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *userdata)
{
        return act(userdata, CURL_SOCKET_TIMEOUT, 0);
}

static uint32_t epoll_events(int what)
{
        return (what == CURL_POLL_IN || what == CURL_POLL_INOUT ? (uint32_t) EPOLLIN : 0) |
               (what == CURL_POLL_OUT || what == CURL_POLL_INOUT ? (uint32_t) EPOLLOUT : 0);
}

/* libcurl's: what it waits for on a socket; `data` is the io source that was assigned to the socket. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *data)
{
        sd_event_source *io = data;
        CurlSource *source = userdata;

        if (what == CURL_POLL_REMOVE) {
                sd_event_source_disable_unref(io);
                return 0;
        }
        if (io)
                return sd_event_source_set_io_events(io, epoll_events(what)) < 0 ? -1 : 0;
        if (sd_event_add_io(source->event, &io, fd, epoll_events(what), on_io, source) < 0)
                return -1;
        if (curl_multi_assign(source->multi, fd, io) != CURLM_OK) {
                sd_event_source_disable_unref(io);
                return -1;
        }
        return 0;
}

/* libcurl's: when it wants to act next; -1: not at all. Never at once, from here: it does
 * not expect that. */
static int on_timeout(CURLM *multi, long milliseconds, void *userdata)
{
        CurlSource *source = userdata;

        if (milliseconds < 0)
                return sd_event_source_set_enabled(source->timer, SD_EVENT_OFF) < 0 ? -1 : 0;
        if (sd_event_source_set_time_relative(source->timer, (usec_t) milliseconds * USEC_PER_MSEC) < 0 ||
            sd_event_source_set_enabled(source->timer, SD_EVENT_ONESHOT) < 0)
                return -1;
        return 0;
}

CurlSource *curl_source_free(CurlSource *source)
{
        if (!source)
                return NULL;
        assert(source->n_jobs == 0);
        if (source->multi)
                (void) curl_multi_cleanup(source->multi); /* tells on_socket() of its idle connections */
        sd_event_source_disable_unref(source->timer);
        free(source);
        return NULL;
}

static int multi_init(CurlSource *source)
{
        source->multi = curl_multi_init();
        if (!source->multi)
                return -ENOMEM;
        if (curl_multi_setopt(source->multi, CURLMOPT_SOCKETFUNCTION, on_socket) != CURLM_OK ||
            curl_multi_setopt(source->multi, CURLMOPT_SOCKETDATA, source) != CURLM_OK ||
            curl_multi_setopt(source->multi, CURLMOPT_TIMERFUNCTION, on_timeout) != CURLM_OK ||
            curl_multi_setopt(source->multi, CURLMOPT_TIMERDATA, source) != CURLM_OK ||
            curl_multi_setopt(source->multi, CURLMOPT_MAXCONNECTS, IDLE_CACHE_MAX) != CURLM_OK ||
            curl_multi_setopt(source->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                              CURL_SOURCE_HOST_CONNECTIONS_MAX) != CURLM_OK ||
            curl_multi_setopt(source->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, CURL_SOURCE_CONNECTIONS_MAX) !=
                    CURLM_OK)
                return -EIO;
        return 0;
}

int curl_source_new(sd_event *event, CurlSource **ret)
{
        _cleanup_(curl_source_freep) CurlSource *source = calloc(1, sizeof(CurlSource));
        int r = global_init();

        if (!source)
                return -ENOMEM;
        source->event = event;
        if (r >= 0)
                r = sd_event_add_time(event, &source->timer, CLOCK_MONOTONIC, USEC_INFINITY, TIMER_ACCURACY,
                                      on_timer, source);
        if (r >= 0)
                r = multi_init(source);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(source);
        return 0;
}

int curl_source_add(CurlSource *source, CurlJob *job)
{
        if (curl_easy_setopt(job->easy, CURLOPT_PRIVATE, job) != CURLE_OK ||
            curl_multi_add_handle(source->multi, job->easy) != CURLM_OK)
                return -EIO;
        source->n_jobs++;
        return 0;
}

void curl_source_remove(CurlSource *source, CurlJob *job)
{
        (void) curl_multi_remove_handle(source->multi, job->easy);
        source->n_jobs--;
}

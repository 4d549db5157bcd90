/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every daemon does alike. */

#include "daemon-util.h"

#include "basic/string-util.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

static int add_stop_signal(sd_event *event, int signal, sd_event_signal_handler_t on_stop, void *userdata)
{
        int r = sd_event_add_signal(event, NULL, signal, on_stop, userdata);

        return r < 0 ? r : 0;
}

int daemon_event_new(sd_event_signal_handler_t on_stop, void *userdata, sd_event **ret)
{
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        sigset_t blocked;
        int r;

        (void) sigemptyset(&blocked);
        (void) sigaddset(&blocked, SIGTERM);
        (void) sigaddset(&blocked, SIGINT);
        (void) sigaddset(&blocked, SIGCHLD); /* sd_event_add_child() wants it so */
        if (sigprocmask(SIG_BLOCK, &blocked, NULL) < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
                return -errno;
        r = sd_event_default(&event);
        if (r < 0)
                return r;
        r = add_stop_signal(event, SIGTERM, on_stop, userdata);
        if (r < 0)
                return r;
        r = add_stop_signal(event, SIGINT, on_stop, userdata);
        if (r < 0)
                return r;
        r = sd_event_set_watchdog(event, true);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(event);
        return 0;
}

const char *daemon_notify_ready(void)
{
        (void) sd_notify(false, "READY=1");
        return "STOPPING=1";
}

void daemon_notify_stop(const char **message)
{
        (void) sd_notify(false, *message);
}

void daemon_notify_status(const char *format, ...)
{
        _cleanup_free_ char *status = NULL;
        va_list arguments;
        int r;

        va_start(arguments, format);
        r = vasprintf(&status, format, arguments);
        va_end(arguments);
        if (r < 0)
                status = NULL;
        else
                (void) sd_notifyf(false, "STATUS=%s", status);
}

void daemon_notify_reloading(void)
{
        (void) sd_notifyf(false, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, now_usec(CLOCK_MONOTONIC));
}

void daemon_notify_extend(usec_t usec)
{
        (void) sd_notifyf(false, "EXTEND_TIMEOUT_USEC=%" PRIu64, usec);
}

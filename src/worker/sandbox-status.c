/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One order at a time. One that is not answered before the next is due counts as no answer. */

#include "sandbox-status.h"

#include "order-client.h"

#include "basic/time-util.h"

#include <errno.h>

#define FIRST_USEC      (500 * USEC_PER_MSEC)
#define INTERVAL_USEC   (5 * USEC_PER_SEC)
#define ACCURACY_USEC   (250 * USEC_PER_MSEC)
#define N_SANDBOXES_MAX 1000000

struct SandboxStatus {
        sd_event *event; /* borrowed, like the next */
        const char *socket_path;
        sd_event_source *timer;
        Order *order; /* under way, or NULL */
        SandboxFigures figures;
};

static uint64_t count_of(json_object *answer, const char *name)
{
        uint64_t n = json_object_get_uint64(json_object_object_get(answer, name));

        return MIN(n, (uint64_t) N_SANDBOXES_MAX);
}

static int on_ended(Order *order, json_object *answer, const char *error, void *userdata)
{
        SandboxStatus *status = userdata;

        status->order = order_free(order);
        status->figures = (SandboxFigures){};
        if (answer && json_object_get_int(json_object_object_get(answer, "code")) == 0)
                status->figures =
                        (SandboxFigures){ true, count_of(answer, "parked"), count_of(answer, "running") };
        return 0;
}

static const OrderHandlers handlers = { .ended = on_ended };

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
        _cleanup_json_ json_object *body = json_object_new_object();
        SandboxStatus *status = userdata;
        int r;

        if (status->order) {
                status->order = order_free(status->order);
                status->figures = (SandboxFigures){};
        }
        if (!body || json_add_text(body, "order", "status") < 0)
                return -ENOMEM;
        r = order_new(status->event, SANDBOX_SERVICE(status->socket_path), body, &handlers, status,
                      &status->order);
        if (r == -ENOMEM)
                return r;
        r = sd_event_source_set_time_relative(source, INTERVAL_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int sandbox_status_new(sd_event *event, const char *socket_path, SandboxStatus **ret)
{
        SandboxStatus *status = calloc(1, sizeof(SandboxStatus));
        int r;

        if (!status)
                return -ENOMEM;
        status->event = event;
        status->socket_path = socket_path;
        r = sd_event_add_time_relative(event, &status->timer, CLOCK_MONOTONIC, FIRST_USEC, ACCURACY_USEC,
                                       on_time, status);
        if (r < 0) {
                free(status);
                return r;
        }
        *ret = status;
        return 0;
}

SandboxStatus *sandbox_status_free(SandboxStatus *status)
{
        if (!status)
                return NULL;
        if (status->order)
                order_free(status->order);
        sd_event_source_disable_unref(status->timer);
        free(status);
        return NULL;
}

SandboxFigures sandbox_status_figures(const SandboxStatus *status)
{
        return status ? status->figures : (SandboxFigures){};
}

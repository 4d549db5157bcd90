/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An image is kept for as long as a connection says so. A new set is said on new connections, and the old
 * ones are closed after that: so there is no moment at which nobody wants what both sets have. A sandbox
 * service that went away is told again. */

#include "keeper.h"

#include "order-client.h"

#include "basic/string-util.h"

#include <errno.h>

#define DIGESTS_PER_ORDER 512U /* an order is one frame */
#define ORDERS_MAX        8U
#define AGAIN_USEC        (2 * USEC_PER_SEC)
#define TIMER_ACCURACY    (100 * USEC_PER_MSEC)

struct Keeper {
        sd_event *event; /* borrowed, like the next */
        const WorkerSettings *settings;
        char **digests;
        Order *orders[ORDERS_MAX];
        sd_event_source *timer;
};

Keeper *keeper_free(Keeper *keeper)
{
        if (!keeper)
                return NULL;
        for (size_t i = 0; i < ORDERS_MAX; i++)
                order_free(keeper->orders[i]);
        sd_event_source_disable_unref(keeper->timer);
        strv_free(keeper->digests);
        free(keeper);
        return NULL;
}

/* Refused, or the service went away: it is said again, all of it. */
static int on_ended(Order *order, json_object *answer, const char *error, void *userdata)
{
        Keeper *keeper = userdata;
        int r;

        for (size_t i = 0; i < ORDERS_MAX; i++)
                if (keeper->orders[i] == order)
                        keeper->orders[i] = order_free(order);
        r = sd_event_source_set_time_relative(keeper->timer, AGAIN_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(keeper->timer, SD_EVENT_ONESHOT);
}

static const OrderHandlers handlers = { .ended = on_ended };

static int say_some(Keeper *keeper, char *const *digests, size_t n, Order **ret)
{
        _cleanup_json_ json_object *body = json_object_new_object();
        json_object *list = json_object_new_array();
        int r = body && list ? json_add(body, "digests", list) : -ENOMEM;

        for (size_t i = 0; i < n && r >= 0; i++)
                r = json_object_array_add(list, json_object_new_string(digests[i]));
        if (r >= 0)
                r = json_add_text(body, "order", "hold");
        return r < 0 ? -ENOMEM
                     : order_new(keeper->event, SANDBOX_SERVICE(keeper->settings->sandbox), body, &handlers,
                                 keeper, ret);
}

static int say(Keeper *keeper)
{
        size_t n = strv_length(keeper->digests);
        Order *old[ORDERS_MAX];
        int r = 0;

        for (size_t i = 0; i < ORDERS_MAX; i++)
                old[i] = TAKE_PTR(keeper->orders[i]);
        for (size_t i = 0; i < ORDERS_MAX && i * DIGESTS_PER_ORDER < n && r == 0; i++)
                r = say_some(keeper, keeper->digests + i * DIGESTS_PER_ORDER,
                             MIN(DIGESTS_PER_ORDER, n - i * DIGESTS_PER_ORDER), &keeper->orders[i]);
        for (size_t i = 0; i < ORDERS_MAX; i++)
                order_free(old[i]);
        return r;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        return say(userdata);
}

static bool is_same(char *const *a, char *const *b)
{
        for (; a && b && *a && *b && streq(*a, *b); a++, b++)
                ;
        return (!a || !*a) && (!b || !*b);
}

int keeper_want(Keeper *keeper, char *const *digests)
{
        _cleanup_(strv_freep) char **copy = NULL;
        int r = 0;

        if (is_same(keeper->digests, digests))
                return 0;
        for (; digests && *digests && r == 0; digests++)
                r = strv_extend(&copy, *digests);
        if (r < 0)
                return r;
        strv_free(keeper->digests);
        keeper->digests = TAKE_PTR(copy);
        return say(keeper);
}

int keeper_new(sd_event *event, const WorkerSettings *settings, Keeper **ret)
{
        _cleanup_(keeper_freep) Keeper *keeper = calloc(1, sizeof(Keeper));
        int r;

        if (!keeper)
                return -ENOMEM;
        keeper->event = event;
        keeper->settings = settings;
        r = sd_event_add_time(event, &keeper->timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY, on_timer, keeper);
        if (r >= 0)
                r = sd_event_source_set_enabled(keeper->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(keeper);
        return 0;
}

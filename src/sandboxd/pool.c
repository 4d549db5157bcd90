/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each job leaves one parked sandbox of its image behind: where it took one, that is replaced; where it
 * found none, there is one more from now on. So as many are parked as jobs ran at once, until the bound is
 * met; then the image that was used least recently loses one. Nothing is parked but at the end of a job:
 * what fails to start is not tried again by itself, and one that retires by age is not replaced.
 *
 * A sandbox that ended is freed from the event loop, for its own functions may be running still. */

#include "pool.h"

#include "basic/string-util.h"
#include "shared/log.h"

#include <errno.h>

/* What one that is parked may come to: pipeline-init and the runtime, which no guest has touched. */
#define PARKED_BYTES (UINT64_C(32) << 20)

static uint64_t parked_max(const Pool *pool)
{
        return MIN(pool->context->config->parked_max, pool->context->config->parked_bytes / PARKED_BYTES);
}

static void on_dead(Sandbox *sandbox, void *userdata)
{
        Pool *pool = userdata;

        (void) sd_event_source_set_enabled(pool->reap, SD_EVENT_ONESHOT);
}

static int on_reap(sd_event_source *source, void *userdata)
{
        Pool *pool = userdata;

        LIST_FOREACH(Sandbox, sandbox, &pool->dead, link)
                if (sandbox->state == SANDBOX_DEAD) {
                        list_remove(&pool->dead, &sandbox->link);
                        sandbox_free(sandbox);
                }
        return 0;
}

static void end_from(Pool *pool, List *list, Sandbox *sandbox)
{
        list_remove(list, &sandbox->link);
        list_append(&pool->dead, &sandbox->link);
        sandbox_end(sandbox);
}

/* Idle sandboxes belong to the pool. */

static void on_idle_event(Sandbox *sandbox, void *owner)
{
}

static void on_idle_frame(Sandbox *sandbox, const Frame *frame, void *owner)
{
}

static void on_idle_fault(Sandbox *sandbox, SandboxFault fault, const char *text, void *owner)
{
        Pool *pool = owner;

        if (fault != SANDBOX_FAULT_AGE)
                log_warning("A sandbox of image %s could not be kept ready: %s", sandbox->image, text);
        end_from(pool, &pool->idle, sandbox);
}

static const SandboxHandlers idle_handlers = { on_idle_event, on_idle_event, on_idle_frame, on_idle_event,
                                               on_idle_fault };

int pool_init(Pool *pool, SandboxContext *context, const Store *store)
{
        int r;

        *pool = (Pool){ .context = context, .store = store };
        list_init(&pool->running);
        list_init(&pool->idle);
        list_init(&pool->dead);
        context->dead = on_dead;
        context->userdata = pool;
        r = sd_event_add_defer(context->event, &pool->reap, on_reap, pool);
        return r < 0 ? r : sd_event_source_set_enabled(pool->reap, SD_EVENT_OFF);
}

void pool_done(Pool *pool)
{
        assert(list_is_empty(&pool->running));
        pool_retire(pool, NULL);
        LIST_FOREACH(Sandbox, sandbox, &pool->dead, link) {
                list_remove(&pool->dead, &sandbox->link);
                sandbox_free(sandbox);
        }
        pool->reap = sd_event_source_disable_unref(pool->reap);
}

/* The idle one that will be ready first. Those of an image that is asked for become the
 * most recently used. */
static Sandbox *find_idle(Pool *pool, const char *image)
{
        Sandbox *best = NULL;
        List same;

        list_init(&same);
        LIST_FOREACH(Sandbox, sandbox, &pool->idle, link)
                if (streq(sandbox->image, image)) {
                        list_remove(&pool->idle, &sandbox->link);
                        list_append(&same, &sandbox->link);
                }
        LIST_FOREACH(Sandbox, sandbox, &same, link) {
                list_remove(&same, &sandbox->link);
                list_append(&pool->idle, &sandbox->link);
                if (!best || sandbox->state > best->state)
                        best = sandbox;
        }
        return best;
}

/* Ends the idle one of another image that was used least recently. */
static bool retire_other(Pool *pool, const char *image)
{
        LIST_FOREACH(Sandbox, sandbox, &pool->idle, link)
                if (!streq(sandbox->image, image)) {
                        end_from(pool, &pool->idle, sandbox);
                        return true;
                }
        return false;
}

static int make(Pool *pool, const char *image, const Limits *limits, Sandbox **ret)
{
        _cleanup_free_ char *rootfs = NULL;
        int r;

        r = store_find(pool->store, image, &rootfs);
        if (r != 0)
                return r;
        r = sandbox_new(pool->context, image, rootfs, limits, ret);
        if (r == SANDBOX_NO_ID)
                return POOL_FULL;
        return r;
}

int pool_acquire(Pool *pool, const char *image, const Limits *limits, const SandboxHandlers *handlers,
                 void *owner, Sandbox **ret)
{
        Sandbox *sandbox;
        int r;

        if (pool->running.n_members >= pool->context->config->running_max)
                return POOL_FULL;
        sandbox = find_idle(pool, image);
        if (sandbox)
                list_remove(&pool->idle, &sandbox->link);
        else {
                r = make(pool, image, limits, &sandbox);
                if (r != 0)
                        return r;
        }
        list_append(&pool->running, &sandbox->link);
        sandbox_set_owner(sandbox, handlers, owner);
        *ret = sandbox;
        return 0;
}

static void park_next(Pool *pool, const char *image, const Limits *limits)
{
        Sandbox *sandbox;
        int r;

        if (pool->idle.n_members >= parked_max(pool) &&
            (parked_max(pool) == 0 || !retire_other(pool, image)))
                return;
        r = make(pool, image, limits, &sandbox);
        if (r == 0) {
                sandbox_set_owner(sandbox, &idle_handlers, pool);
                list_append(&pool->idle, &sandbox->link);
        } else if (r < 0 && r != -ENOTCONN)
                log_warning("A sandbox of image %s could not be made ready: %s", image, strerror(-r));
}

void pool_release(Pool *pool, Sandbox *sandbox, const Limits *limits)
{
        end_from(pool, &pool->running, sandbox);
        park_next(pool, sandbox->image, limits);
}

void pool_retire(Pool *pool, const char *image)
{
        LIST_FOREACH(Sandbox, sandbox, &pool->idle, link)
                if (!image || streq(sandbox->image, image))
                        end_from(pool, &pool->idle, sandbox);
}

bool pool_image_is_running(const Pool *pool, const char *image)
{
        LIST_FOREACH(Sandbox, sandbox, &pool->running, link)
                if (streq(sandbox->image, image))
                        return true;
        return false;
}

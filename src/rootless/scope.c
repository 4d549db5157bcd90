/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A scope is asked for with StartTransientUnit of the user manager and is there when JobRemoved names it.
 * All calls are asynchronous; answers of one connection come in the order of their calls.
 *
 * The manager may be restarted at any time. Then every scope asked for has failed, and a timer connects
 * anew. What an earlier process of ours left there is killed before any new scope is made, for its guests
 * may have the ids that new ones get. */

#include "scope.h"

#include "basic/hashmap.h"
#include "basic/string-util.h"
#include "shared/log.h"

#include <errno.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#define SYSTEMD_NAME      "org.freedesktop.systemd1"
#define SYSTEMD_PATH      "/org/freedesktop/systemd1"
#define SYSTEMD_INTERFACE "org.freedesktop.systemd1.Manager"

#define RECONNECT_USEC    (500 * USEC_PER_MSEC)
#define SWEEP_USEC        (50 * USEC_PER_MSEC)
#define STOP_USEC         (1 * USEC_PER_SEC)
#define USEC_PER_CPU      UINT64_C(10000) /* of a second, for each percent of one CPU */
#define SCOPE_DESCRIPTION "Pipeline sandbox"
#define SCOPE_SLICE       "pipeline.slice"

#define FNV_BASIS UINT32_C(2166136261)
#define FNV_PRIME UINT32_C(16777619)

struct ScopeManager {
        sd_event *event;
        sd_bus *bus;            /* NULL: not connected */
        sd_event_source *timer; /* connects, or looks again for what is left */
        char *prefix, *cgroup;
        Hashmap *starting; /* name -> Scope whose start is awaited; borrowed */
        bool is_there;
        ScopeManagerHandler handler;
        void *userdata;
};

struct Scope {
        ScopeManager *manager;
        char *name;
        sd_bus_slot *call;
        ScopeHandler handler;
        void *userdata;
};

/* Scopes */

const char *scope_name(const Scope *scope)
{
        return scope->name;
}

Scope *scope_free(Scope *scope)
{
        if (!scope)
                return NULL;
        if (scope->name)
                (void) hashmap_remove_str(scope->manager->starting, scope->name);
        sd_bus_slot_unref(scope->call);
        free(scope->name);
        free(scope);
        return NULL;
}

static int on_start_answered(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        Scope *scope = userdata;

        scope->call = sd_bus_slot_unref(scope->call);
        /* A good answer only says that there is a job: JobRemoved is what counts. */
        if (sd_bus_message_is_method_error(message, NULL) &&
            hashmap_remove_str(scope->manager->starting, scope->name))
                scope->handler(scope, -sd_bus_message_get_errno(message), scope->userdata);
        return 0;
}

static int on_limits_answered(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        Scope *scope = userdata;

        scope->call = sd_bus_slot_unref(scope->call);
        scope->handler(scope, -sd_bus_message_get_errno(message), scope->userdata);
        return 0;
}

static int append_limits(sd_bus_message *message, const CgroupLimits *limits)
{
        return sd_bus_message_append(message, "(sv)(sv)(sv)(sv)", "MemoryMax", "t", limits->memory_bytes,
                                     "MemorySwapMax", "t", UINT64_C(0), "TasksMax", "t", limits->processes,
                                     "CPUQuotaPerSecUSec", "t", limits->cpu_percent * USEC_PER_CPU);
}

static int append_start(sd_bus_message *message, const char *name, pid_t pid, const CgroupLimits *limits,
                        usec_t runtime_usec)
{
        int r;

        r = sd_bus_message_append(message, "ss", name, "fail");
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(message, 'a', "(sv)");
        if (r < 0)
                return r;
        r = sd_bus_message_append(message, "(sv)(sv)(sv)(sv)(sv)(sv)", "Description", "s", SCOPE_DESCRIPTION,
                                  "Slice", "s", SCOPE_SLICE, "PIDs", "au", 1, (uint32_t) pid, "CollectMode",
                                  "s", "inactive-or-failed", "RuntimeMaxUSec", "t", runtime_usec,
                                  "TimeoutStopUSec", "t", STOP_USEC);
        if (r < 0)
                return r;
        r = append_limits(message, limits);
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(message);
        if (r < 0)
                return r;
        return sd_bus_message_append(message, "a(sa(sv))", 0);
}

static int method_new(ScopeManager *manager, const char *method, sd_bus_message **ret)
{
        return sd_bus_message_new_method_call(manager->bus, ret, SYSTEMD_NAME, SYSTEMD_PATH,
                                              SYSTEMD_INTERFACE, method);
}

static int scope_start(Scope *scope, pid_t pid, const CgroupLimits *limits, usec_t runtime_usec)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r;

        r = hashmap_put_str(scope->manager->starting, scope->name, scope);
        if (r < 0)
                return r;
        r = method_new(scope->manager, "StartTransientUnit", &message);
        if (r < 0)
                return r;
        r = append_start(message, scope->name, pid, limits, runtime_usec);
        if (r < 0)
                return r;
        return sd_bus_call_async(scope->manager->bus, &scope->call, message, on_start_answered, scope, 0);
}

int scope_new(ScopeManager *manager, const char *name, pid_t pid, const CgroupLimits *limits,
              usec_t runtime_usec, ScopeHandler handler, void *userdata, Scope **ret)
{
        Scope *scope;
        int r;

        if (!manager->is_there)
                return -ENOTCONN;
        scope = calloc(1, sizeof(*scope));
        if (!scope)
                return -ENOMEM;
        scope->manager = manager;
        scope->handler = handler;
        scope->userdata = userdata;
        scope->name = string_format("%s-%s.scope", manager->prefix, name);
        r = scope->name ? scope_start(scope, pid, limits, runtime_usec) : -ENOMEM;
        if (r < 0) {
                scope_free(scope);
                return r;
        }
        *ret = scope;
        return 0;
}

int scope_set_limits(Scope *scope, const CgroupLimits *limits)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r;

        if (!scope->manager->is_there)
                return -ENOTCONN;
        r = method_new(scope->manager, "SetUnitProperties", &message);
        if (r < 0)
                return r;
        r = sd_bus_message_append(message, "sb", scope->name, true);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(message, 'a', "(sv)");
        if (r < 0)
                return r;
        r = append_limits(message, limits);
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(message);
        if (r < 0)
                return r;
        return sd_bus_call_async(scope->manager->bus, &scope->call, message, on_limits_answered, scope, 0);
}

static int on_job_removed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        ScopeManager *manager = userdata;
        const char *path, *unit, *result;
        Scope *scope;
        uint32_t id;

        if (sd_bus_message_read(message, "uoss", &id, &path, &unit, &result) < 0)
                return 0;
        scope = hashmap_remove_str(manager->starting, unit);
        if (scope)
                scope->handler(scope, streq(result, "done") ? 0 : -ECANCELED, scope->userdata);
        return 0;
}

/* The manager: connect, clear what is left, be there */

static int set_timer(ScopeManager *manager, usec_t usec)
{
        int r = sd_event_source_set_time_relative(manager->timer, usec);

        return r < 0 ? r : sd_event_source_set_enabled(manager->timer, SD_EVENT_ONESHOT);
}

static void lose(ScopeManager *manager, int error)
{
        bool was_there = manager->is_there;

        if (!manager->bus)
                return;
        manager->is_there = false;
        manager->bus = sd_bus_flush_close_unref(manager->bus);
        (void) set_timer(manager, RECONNECT_USEC);
        for (size_t cursor = 0;;) {
                Scope *scope = hashmap_next(manager->starting, &cursor);

                if (!scope)
                        break;
                (void) hashmap_remove_str(manager->starting, scope->name);
                scope->handler(scope, -ENOTCONN, scope->userdata);
                cursor = 0;
        }
        if (was_there)
                manager->handler(manager, false, manager->userdata);
        else
                log_debug("No user manager yet: %s", strerror(-error));
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        lose(userdata, -ECONNRESET);
        return 0;
}

static int on_failed_call(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        if (sd_bus_message_is_method_error(message, NULL))
                lose(userdata, -sd_bus_message_get_errno(message));
        return 0;
}

static int on_cgroup(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        ScopeManager *manager = userdata;
        const char *path;

        if (sd_bus_message_is_method_error(message, NULL) ||
            sd_bus_message_read(message, "v", "s", &path) < 0)
                return 0;
        free(manager->cgroup);
        manager->cgroup = strdup(path);
        return 0;
}

/* Kills one that an earlier process left, and stops it: one that was killed while it began may be active
 * with nobody in it, and nothing would ever end it. Returns whether it is there still. */
static bool clear_leftover(ScopeManager *manager, const char *name, const char *state)
{
        bool is_dead = streq(state, "failed") || streq(state, "inactive");

        if (is_dead)
                (void) sd_bus_call_method_async(manager->bus, NULL, SYSTEMD_NAME, SYSTEMD_PATH,
                                                SYSTEMD_INTERFACE, "ResetFailedUnit", NULL, NULL, "s", name);
        else {
                (void) sd_bus_call_method_async(manager->bus, NULL, SYSTEMD_NAME, SYSTEMD_PATH,
                                                SYSTEMD_INTERFACE, "KillUnit", NULL, NULL, "ssi", name,
                                                "all", SIGKILL);
                (void) sd_bus_call_method_async(manager->bus, NULL, SYSTEMD_NAME, SYSTEMD_PATH,
                                                SYSTEMD_INTERFACE, "StopUnit", NULL, NULL, "ss", name,
                                                "replace");
        }
        return !is_dead;
}

static int read_leftovers(ScopeManager *manager, sd_bus_message *message, size_t *ret_n)
{
        const char *name, *state;
        size_t n = 0;
        int r;

        r = sd_bus_message_enter_container(message, 'a', "(ssssssouso)");
        if (r < 0)
                return r;
        for (;;) {
                r = sd_bus_message_read(message, "(ssssssouso)", &name, NULL, NULL, &state, NULL, NULL, NULL,
                                        NULL, NULL, NULL);
                if (r <= 0)
                        break;
                n += clear_leftover(manager, name, state);
        }
        if (r >= 0)
                *ret_n = n;
        return r;
}

static int on_leftovers(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        ScopeManager *manager = userdata;
        size_t n = 0;
        int r = -sd_bus_message_get_errno(message);

        if (r == 0)
                r = read_leftovers(manager, message, &n);
        if (r < 0) {
                lose(manager, r);
                return 0;
        }
        if (n > 0)
                return set_timer(manager, SWEEP_USEC);
        manager->is_there = true;
        manager->handler(manager, true, manager->userdata);
        return 0;
}

static int ask_for_leftovers(ScopeManager *manager)
{
        _cleanup_free_ char *pattern = string_format("%s-*.scope", manager->prefix);

        if (!pattern)
                return -ENOMEM;
        return sd_bus_call_method_async(manager->bus, NULL, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_INTERFACE,
                                        "ListUnitsByPatterns", on_leftovers, manager, "asas", 0, 1, pattern);
}

static int ask_first_questions(ScopeManager *manager)
{
        int r;

        r = sd_bus_match_signal(manager->bus, NULL, NULL, "/org/freedesktop/DBus/Local",
                                "org.freedesktop.DBus.Local", "Disconnected", on_disconnected, manager);
        if (r < 0)
                return r;
        r = sd_bus_match_signal_async(manager->bus, NULL, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_INTERFACE,
                                      "JobRemoved", on_job_removed, NULL, manager);
        if (r < 0)
                return r;
        r = sd_bus_call_method_async(manager->bus, NULL, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_INTERFACE,
                                     "Subscribe", on_failed_call, manager, NULL);
        if (r < 0)
                return r;
        r = sd_bus_call_method_async(manager->bus, NULL, SYSTEMD_NAME, SYSTEMD_PATH,
                                     "org.freedesktop.DBus.Properties", "Get", on_cgroup, manager, "ss",
                                     SYSTEMD_INTERFACE, "ControlGroup");
        if (r < 0)
                return r;
        return ask_for_leftovers(manager);
}

static int connect_bus(ScopeManager *manager)
{
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        _cleanup_free_ char *address = string_format("unix:path=/run/user/%u/systemd/private", getuid());
        int r;

        if (!address)
                return -ENOMEM;
        r = sd_bus_new(&bus);
        if (r < 0)
                return r;
        r = sd_bus_set_address(bus, address);
        if (r < 0)
                return r;
        r = sd_bus_start(bus);
        if (r < 0)
                return r;
        r = sd_bus_attach_event(bus, manager->event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return r;
        manager->bus = TAKE_PTR(bus);
        return ask_first_questions(manager);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        ScopeManager *manager = userdata;
        int r = manager->bus ? ask_for_leftovers(manager) : connect_bus(manager);

        if (r < 0 && manager->bus)
                lose(manager, r);
        else if (r < 0)
                return set_timer(manager, RECONNECT_USEC);
        return 0;
}

static char *make_prefix(const char *kind, const char *folder)
{
        uint32_t hash = FNV_BASIS;

        for (const char *c = folder; *c; c++)
                hash = (hash ^ (uint8_t) *c) * FNV_PRIME;
        return string_format("%s-%08x", kind, hash);
}

int scope_manager_new(sd_event *event, const char *kind, const char *folder, ScopeManagerHandler handler,
                      void *userdata, ScopeManager **ret)
{
        _cleanup_(scope_manager_freep) ScopeManager *manager = calloc(1, sizeof(*manager));
        int r;

        if (!manager)
                return -ENOMEM;
        manager->event = sd_event_ref(event);
        manager->handler = handler;
        manager->userdata = userdata;
        manager->prefix = make_prefix(kind, folder);
        manager->starting = hashmap_new();
        if (!manager->prefix || !manager->starting)
                return -ENOMEM;
        r = sd_event_add_time_relative(event, &manager->timer, CLOCK_MONOTONIC, 0, 0, on_timer, manager);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(manager);
        return 0;
}

ScopeManager *scope_manager_free(ScopeManager *manager)
{
        if (!manager)
                return NULL;
        sd_event_source_disable_unref(manager->timer);
        sd_bus_flush_close_unref(manager->bus);
        hashmap_free(manager->starting);
        sd_event_unref(manager->event);
        free(manager->cgroup);
        free(manager->prefix);
        free(manager);
        return NULL;
}

char *scope_cgroup_below(const ScopeManager *manager, const char *name, const char *below)
{
        return string_format("%s/" SCOPE_SLICE "/%s-%s.scope/%s", manager->cgroup ?: "", manager->prefix,
                             name, below);
}

const char *scope_manager_cgroup(const ScopeManager *manager)
{
        return manager->cgroup;
}

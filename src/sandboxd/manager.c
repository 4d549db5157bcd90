/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Puts the parts together, and decides whether jobs are taken: with a user manager to make scopes in, and
 * with a kernel that enforces their limits (or an administrator who does without). */

#include "manager.h"

#include "orders.h"

#include "basic/fd-util.h"
#include "basic/string-util.h"
#include "basic/tree.h"
#include "shared/daemon-util.h"
#include "shared/log.h"
#include "shared/message-ids.h"

#include <errno.h>
#include <fcntl.h>

#define PATIENCE_USEC (5 * USEC_PER_SEC) /* by hand: how long a user manager is waited for */

#define FNV_BASIS UINT32_C(2166136261)
#define FNV_PRIME UINT32_C(16777619)

/* Whether jobs are taken */

static int set_unfit(Manager *manager, const char *why)
{
        char *copy = why ? strdup(why) : NULL;

        if (why && !copy)
                return -ENOMEM;
        free(manager->unfit);
        manager->unfit = copy;
        daemon_notify_status("%s", why ?: "taking jobs");
        return 0;
}

static int check_controllers(Manager *manager)
{
        _cleanup_free_ char *missing = NULL, *why = NULL;
        const char *group = scope_manager_cgroup(manager->scopes);
        int r = group ? cgroup_missing_controllers(group, &missing) : -ENODATA;

        if (r < 0)
                return log_errno(r, "Cannot read the controllers of the user manager");
        manager->context.limits_enforced = !missing;
        if (!missing)
                return set_unfit(manager, NULL);
        log_struct(manager->config.unenforced_limits ? LOG_WARNING : LOG_ERR,
                   LOG_FIELDS({ "MESSAGE_ID", MSG_SANDBOX_NO_LIMITS }),
                   "The control group %s lacks controllers: %s. Boot with cgroup v2 alone and let "
                   "user@.service have them (Delegate=cpu memory pids)",
                   group, missing);
        if (manager->config.unenforced_limits)
                return set_unfit(manager, NULL);
        why = string_format("the kernel limits no %s for the user manager", missing);
        return why ? set_unfit(manager, why) : -ENOMEM;
}

static void on_scope_manager(ScopeManager *scopes, bool is_there, void *userdata)
{
        Manager *manager = userdata;

        manager->patience = sd_event_source_disable_unref(manager->patience);
        if (is_there && launcher_start(manager->launcher) >= 0)
                return;
        launcher_stop(manager->launcher);
        if (!is_there)
                log_struct(LOG_WARNING, LOG_FIELDS({ "MESSAGE_ID", MSG_SANDBOX_MANAGER_LOST }),
                           "The user manager is lost; no jobs until it is back");
        if (set_unfit(manager, "there is no user manager") < 0)
                log_warning("No memory");
}

static void on_launcher(Launcher *launcher, bool is_ready, void *userdata)
{
        Manager *manager = userdata;

        if (is_ready && check_controllers(manager) >= 0)
                return;
        if (set_unfit(manager, "what launches the OCI runtime is not there") < 0)
                log_warning("No memory");
}

static int on_patience(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *manager = userdata;

        log_error("There is no systemd user manager for this user: jobs run in scopes of it, or not at all. "
                  "Log in, or: loginctl enable-linger");
        return sd_event_exit(manager->event, -EHOSTUNREACH);
}

/* Profiles */

static void programs_free(SeccompPrograms *programs)
{
        seccomp_programs_done(programs);
        free(programs);
}
DEFINE_CLEANUP(SeccompPrograms *, programs_free)

int manager_profile(Manager *manager, const char *name, const SeccompPrograms **ret, char **ret_error)
{
        _cleanup_(programs_freep) SeccompPrograms *programs = NULL;
        int r;

        *ret = hashmap_get_str(manager->profiles, name);
        if (*ret)
                return 0;
        programs = calloc(1, sizeof(*programs));
        if (!programs)
                return -ENOMEM;
        r = seccomp_profile_load(name, programs, ret_error);
        if (r != 0)
                return r;
        r = hashmap_put_str(manager->profiles, name, programs);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(programs);
        return 0;
}

/* Those there are now, so that no job waits for its profile. One that is bad is told of when it is asked
 * for. */
static int load_profiles(Manager *manager)
{
        _cleanup_(strv_freep) char **names = NULL;
        int r;

        r = seccomp_profile_list(&names);
        for (char **name = names; r >= 0 && name && *name; name++) {
                _cleanup_free_ char *error = NULL;
                const SeccompPrograms *programs;

                r = manager_profile(manager, *name, &programs, &error);
                if (r > 0)
                        log_warning("%s", error);
        }
        return MIN(r, 0);
}

/* Orders */

static const OrderType *const orders[] = { &order_run,    &order_install, &order_images, &order_hold,
                                           &order_remove, &order_status,  NULL };

/* Lifecycle */

/* Scopes are named after the folder that only one daemon can have: so each ends what is its own. */
static int make_scopes(Manager *manager, const char *runtime)
{
        _cleanup_free_ char *prefix = NULL;
        uint32_t hash = FNV_BASIS;

        for (const char *c = runtime; *c; c++)
                hash = (hash ^ (uint8_t) *c) * FNV_PRIME;
        prefix = string_format("pipeline-%08x", hash);
        if (!prefix)
                return -ENOMEM;
        return scope_manager_new(manager->event, prefix, on_scope_manager, manager, &manager->scopes);
}

static int clear_runtime(const char *folder)
{
        _cleanup_close_ int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? -errno : tree_clear(fd);
}

static int make_pool(Manager *manager, const ManagerOptions *options)
{
        int r;

        r = clear_runtime(options->runtime);
        if (r < 0)
                return log_errno(r, "Cannot clear %s", options->runtime);
        r = store_open(options->folder, &manager->identity, manager->event, &manager->store);
        if (r < 0)
                return log_errno(r, "Cannot open the image store %s", options->folder);
        r = make_scopes(manager, options->runtime);
        if (r < 0)
                return r;
        r = runtime_init(&manager->runtime, manager->config.runtime);
        if (r < 0)
                return log_errno(r, "Cannot load the OCI runtime %s", manager->config.runtime);
        r = launcher_new(manager->event, manager->scopes, &manager->runtime, on_launcher, manager,
                         &manager->launcher);
        if (r < 0)
                return r;
        manager->context = (SandboxContext){
                .event = manager->event,
                .scopes = manager->scopes,
                .config = &manager->config,
                .identity = &manager->identity,
                .runtime_folder = options->runtime,
                .init_program = options->init_program,
                .runtime = &manager->runtime,
                .launcher = manager->launcher,
        };
        r = pool_init(&manager->pool, &manager->context, manager->store);
        return r < 0 ? r
                     : collector_init(&manager->collector, manager->event, manager->store, &manager->pool,
                                      &manager->config);
}

static int serve(Manager *manager, const ManagerOptions *options)
{
        if (options->by_hand) {
                int r = sd_event_add_time_relative(manager->event, &manager->patience, CLOCK_MONOTONIC,
                                                   PATIENCE_USEC, 0, on_patience, manager);

                if (r < 0)
                        return r;
        }
        manager->server = (OrderServer){
                .event = manager->event,
                .name = "sandboxd",
                .types = orders,
                .connections_max = manager->config.connections_max,
                .userdata = manager,
        };
        return order_server_start(&manager->server, options->doors, options->n_doors);
}

int manager_init(Manager *manager, sd_event *event, const ManagerOptions *options, const Config *config,
                 const Identity *identity)
{
        int r;

        *manager = (Manager){
                .event = sd_event_ref(event),
                .config = *config,
                .identity = *identity,
                .runtime = { .program_fd = -EBADF },
        };
        manager->profiles = hashmap_new();
        if (!manager->profiles)
                return -ENOMEM;
        r = set_unfit(manager, "waiting for the user manager");
        if (r < 0)
                return r;
        r = load_profiles(manager);
        if (r < 0)
                return log_errno(r, "Cannot load the seccomp profiles");
        r = make_pool(manager, options);
        if (r < 0)
                return r;
        return serve(manager, options);
}

void manager_done(Manager *manager)
{
        if (!manager->event)
                return;
        order_server_done(&manager->server);
        collector_done(&manager->collector);
        if (manager->pool.context)
                pool_done(&manager->pool);
        launcher_free(manager->launcher);
        runtime_done(&manager->runtime);
        scope_manager_free(manager->scopes);
        store_free(manager->store);
        HASHMAP_FOREACH(SeccompPrograms, programs, manager->profiles)
                programs_free(programs);
        hashmap_free(manager->profiles);
        sd_event_source_disable_unref(manager->patience);
        free(manager->unfit);
        sd_event_unref(manager->event);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Puts the parts together. Jobs are taken while there is a user manager that enforces limits
 * (rootless/fitness.h), and what launches the OCI runtime in its scopes. */

#include "manager.h"

#include "orders.h"

#include "basic/fd-util.h"
#include "basic/string-util.h"
#include "basic/tree.h"
#include "shared/log.h"

#include <errno.h>
#include <fcntl.h>

#define INIT_PROGRAM PKGLIBEXECDIR "/pipeline-init" /* unless --init= names another */

/* Whether jobs are taken */

static void on_scope_manager(ScopeManager *scopes, bool is_there, void *userdata)
{
        Manager *manager = userdata;

        fitness_on_manager(&manager->fitness, is_there);
        if (is_there)
                launcher_start(manager->launcher);
        else
                launcher_stop(manager->launcher);
}

static void on_launcher(Launcher *launcher, bool is_ready, void *userdata)
{
        Manager *manager = userdata;

        if (is_ready)
                fitness_check(&manager->fitness, manager->scopes);
        else
                fitness_lose(&manager->fitness, "what launches the OCI runtime is not there");
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

static int clear_runtime(const char *folder)
{
        _cleanup_close_ int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? -errno : tree_clear(fd);
}

static int make_pool(Manager *manager, const Service *service)
{
        int r;

        r = clear_runtime(service->runtime);
        if (r < 0)
                return log_errno(r, "Cannot clear %s", service->runtime);
        r = store_open(service->folder, &manager->identity, manager->event, &manager->store);
        if (r < 0)
                return log_errno(r, "Cannot open the image store %s", service->folder);
        r = scope_manager_new(manager->event, "pipeline", service->runtime, on_scope_manager, manager,
                              &manager->scopes);
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
                .runtime_folder = service->runtime,
                .init_program = service->own ?: INIT_PROGRAM,
                .runtime = &manager->runtime,
                .launcher = manager->launcher,
                .fitness = &manager->fitness,
        };
        r = pool_init(&manager->pool, &manager->context, manager->store);
        return r < 0 ? r
                     : collector_init(&manager->collector, manager->event, manager->store, &manager->pool,
                                      &manager->config);
}

static int serve(Manager *manager, const Service *service)
{
        manager->server = (OrderServer){
                .event = manager->event,
                .name = "sandboxd",
                .types = orders,
                .connections_max = manager->config.connections_max,
                .userdata = manager,
        };
        return order_server_start(&manager->server, service->doors, service->n_doors);
}

int manager_init(Manager *manager, const Service *service)
{
        int r;

        *manager = (Manager){
                .event = sd_event_ref(service->event),
                .config = *(const Config *) service->config,
                .identity = *service->identity,
                .runtime = { .program_fd = -EBADF },
        };
        manager->profiles = hashmap_new();
        if (!manager->profiles)
                return -ENOMEM;
        r = fitness_init(&manager->fitness, manager->event, "jobs", manager->config.unenforced_limits,
                         service->by_hand);
        if (r < 0)
                return r;
        r = load_profiles(manager);
        if (r < 0)
                return log_errno(r, "Cannot load the seccomp profiles");
        r = make_pool(manager, service);
        if (r < 0)
                return r;
        return serve(manager, service);
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
        fitness_done(&manager->fitness);
        sd_event_unref(manager->event);
}

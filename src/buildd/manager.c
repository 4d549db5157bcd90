/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Puts the parts together, and decides what happens next: a build runs; its folder is settled; the next
 * begins. While it runs a child measures, now and then, what it takes of the disk. */

#include "manager.h"

#include "cache.h"
#include "orders.h"

#include "basic/fd-util.h"
#include "basic/folder.h"
#include "basic/string-util.h"
#include "shared/log.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MEASURE_USEC     (2 * USEC_PER_SEC)
#define MEASURE_ACCURACY (500 * USEC_PER_MSEC)
#define CACHE_FOLDER     "cache"
#define DISK_FREE_MIN    (UINT64_C(256) << 20)
#define FILES_FREE_MIN   4096U

static void on_scope_manager(ScopeManager *scopes, bool is_there, void *userdata)
{
        Manager *manager = userdata;

        fitness_on_manager(&manager->fitness, is_there);
        if (!is_there)
                return;
        fitness_check(&manager->fitness, scopes);
        manager_wake(manager);
}

/* One after the other */

void manager_wake(Manager *manager)
{
        (void) sd_event_source_set_enabled(manager->next, SD_EVENT_ONESHOT);
}

static int on_next(sd_event_source *source, void *userdata)
{
        Manager *manager = userdata;
        ListLink *first = list_first(&manager->waiting);

        if (first && !manager->current && !manager->settle)
                build_begin(manager, build_from_link(first));
        return 0;
}

static void free_dead(Manager *manager)
{
        while (!list_is_empty(&manager->dead)) {
                Build *build = build_from_link(list_first(&manager->dead));

                list_remove(&manager->dead, list_first(&manager->dead));
                build_free(build);
        }
}

static int on_reap(sd_event_source *source, void *userdata)
{
        free_dead(userdata);
        return 0;
}

void manager_retire(Manager *manager, ListLink *build)
{
        list_append(&manager->dead, build);
        (void) sd_event_source_set_enabled(manager->reap, SD_EVENT_ONESHOT);
}

/* The error's number is the status: a child has no journal. */
static int settle_main(void *userdata)
{
        Manager *manager = userdata;
        const CacheBounds bounds = { manager->config.cache_bytes, manager->config.track_cache_bytes };

        return -cache_settle(manager->cache_fd, manager->settling, &bounds);
}

static void on_settled(Child *child, int status, void *userdata)
{
        Manager *manager = userdata;

        if (status > 0)
                log_warning("Cannot put what a build left in %s in order: %s", manager->settling,
                            strerror(status));
        else if (status < 0)
                log_warning("Cannot put what a build left in %s in order: it was ended", manager->settling);
        manager->settle = child_free(child);
        free(manager->settling);
        manager->settling = NULL;
        manager_wake(manager);
}

int manager_settle(Manager *manager, const char *name)
{
        int r;

        manager->settling = strdup(name);
        if (!manager->settling)
                return -ENOMEM;
        r = child_start(manager->event, settle_main, on_settled, manager, &manager->cache_fd, 1,
                        &manager->settle);
        if (r < 0) {
                free(manager->settling);
                manager->settling = NULL;
        }
        return r;
}

/* The disk */

static int measure_main(void *userdata)
{
        Manager *manager = userdata;

        return cache_measure(manager->cache_fd, build_folder(manager->current), manager->measured) < 0
                       ? EXIT_FAILURE
                       : EXIT_SUCCESS;
}

static void on_measured(Child *child, int status, void *userdata)
{
        Manager *manager = userdata;

        manager->measure = child_free(child);
        if (manager->current && status == EXIT_SUCCESS)
                build_set_written(manager->current, *manager->measured);
}

/* A build can hold what no walk finds (files that have no name any more), and grow faster than one walks;
 * and the host needs some room. */
static bool disk_is_full(const Manager *manager)
{
        struct statvfs disk;

        if (fstatvfs(manager->cache_fd, &disk) < 0)
                return false;
        return disk.f_bavail * disk.f_frsize < DISK_FREE_MIN ||
               (disk.f_files > 0 && disk.f_favail < FILES_FREE_MIN);
}

static int on_measure_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *manager = userdata;
        int r = 0;

        if (manager->current && disk_is_full(manager))
                build_end_for_disk(manager->current);
        if (manager->current && !manager->measure)
                r = child_start(manager->event, measure_main, on_measured, manager, &manager->cache_fd, 1,
                                &manager->measure);
        if (r < 0)
                log_warning("Cannot measure what a build takes of the disk: %s", strerror(-r));
        r = sd_event_source_set_time_relative(source, MEASURE_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* Lifecycle */

static int open_cache(Manager *manager)
{
        _cleanup_free_ char *path = string_format("%s/" CACHE_FOLDER, manager->folder);

        if (!path)
                return -ENOMEM;
        if (mkdir(path, 0711) < 0 && errno != EEXIST)
                return -errno;
        manager->cache_fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return manager->cache_fd < 0 ? -errno : 0;
}

/* What an earlier process left in the middle of a build. Where that cannot be removed, only the track's own
 * builds are refused. */
static int clear_work(Manager *manager)
{
        _cleanup_folder_ DIR *folder = NULL;
        struct dirent *entry;
        int r = folder_open(manager->cache_fd, ".", &folder);

        while (r == 0 && (r = folder_next(folder, &entry)) > 0) {
                if (entry->d_type != DT_DIR || entry->d_name[0] == '.') {
                        r = 0;
                        continue;
                }
                r = cache_clear_work(manager->cache_fd, entry->d_name);
                if (r < 0)
                        log_warning("Cannot clear what a build left in %s: %s", entry->d_name, strerror(-r));
                r = 0;
        }
        return r;
}

static int add_sources(Manager *manager)
{
        int r;

        r = sd_event_add_defer(manager->event, &manager->next, on_next, manager);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(manager->next, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = sd_event_add_defer(manager->event, &manager->reap, on_reap, manager);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(manager->reap, SD_EVENT_OFF);
        if (r < 0)
                return r;
        return sd_event_add_time_relative(manager->event, &manager->measure_timer, CLOCK_MONOTONIC,
                                          MEASURE_USEC, MEASURE_ACCURACY, on_measure_timer, manager);
}

static int open_all(Manager *manager, const Service *service)
{
        int r;

        manager->measured =
                mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (manager->measured == MAP_FAILED) {
                manager->measured = NULL;
                return -errno;
        }
        r = open_cache(manager);
        if (r < 0)
                return log_errno(r, "Cannot open the layers' folder below %s", manager->folder);
        r = clear_work(manager);
        if (r < 0)
                return log_errno(r, "Cannot read the layers' folder below %s", manager->folder);
        r = add_sources(manager);
        return r < 0 ? r
                     : scope_manager_new(manager->event, "pipeline-build", service->runtime,
                                         on_scope_manager, manager, &manager->scopes);
}

int manager_init(Manager *manager, const Service *service)
{
        int r;

        *manager = (Manager){
                .event = sd_event_ref(service->event),
                .config = *(const BuildConfig *) service->config,
                .identity = *service->identity,
                .folder = service->folder,
                .cache_fd = -EBADF,
        };
        list_init(&manager->waiting);
        list_init(&manager->dead);
        r = fitness_init(&manager->fitness, manager->event, "builds", manager->config.unenforced_limits,
                         service->by_hand);
        if (r < 0)
                return r;
        r = open_all(manager, service);
        if (r < 0)
                return r;
        manager->server = (OrderServer){
                .event = manager->event,
                .name = "buildd",
                .types = build_orders,
                .connections_max = manager->config.waiting_max + 1,
                .userdata = manager,
        };
        return order_server_start(&manager->server, service->doors, service->n_doors);
}

void manager_done(Manager *manager)
{
        if (!manager->event)
                return;
        order_server_done(&manager->server);
        free_dead(manager);
        child_free(manager->settle);
        child_free(manager->measure);
        scope_manager_free(manager->scopes);
        sd_event_source_disable_unref(manager->next);
        sd_event_source_disable_unref(manager->reap);
        sd_event_source_disable_unref(manager->measure_timer);
        if (manager->measured)
                (void) munmap(manager->measured, sizeof(uint64_t));
        safe_close(manager->cache_fd);
        free(manager->settling);
        fitness_done(&manager->fitness);
        sd_event_unref(manager->event);
}

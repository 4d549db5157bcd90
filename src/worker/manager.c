/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A worker's life: its folder is locked, the router answers, every version is held or has failed, it is
 * ready; told to stop, it says goodbye, finishes what runs, and ends.
 *
 * systemd's patience is extended until it is ready, and while it finishes. */

#include "manager-private.h"

#include "basic/fd-util.h"
#include "basic/string-util.h"
#include "shared/daemon-util.h"
#include "shared/log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <sys/stat.h>

#define LOCK_NAME         "lock"
#define PATIENCE_USEC     (30 * USEC_PER_SEC) /* systemd's, until READY */
#define PATIENCE_INTERVAL (5 * USEC_PER_SEC)
#define ACK_USEC          USEC_PER_SEC /* how long a worker that ends waits for the last acknowledgements */
#define TIMER_ACCURACY    (100 * USEC_PER_MSEC)
#define STATUS_INTERVAL   (500 * USEC_PER_MSEC)

/* What systemd and people see. */

static char *topics_text(const Manager *m)
{
        char *text = m->settings->topics ? strdup(m->settings->topics[0]) : strdup("any track");

        for (size_t i = 1; text && i < strv_length(m->settings->topics); i++) {
                char *longer = string_format("%s, %s", text, m->settings->topics[i]);

                free(text);
                text = longer;
        }
        return text;
}

static void say_status(const Manager *m)
{
        HoldingsCount count = holdings_count(m->holdings);
        _cleanup_free_ char *topics = topics_text(m);

        if (!topics)
                return;
        if (m->is_draining)
                daemon_notify_status("ending: %zu jobs still run", m->tasks.n_members);
        else if (!m->is_configured)
                daemon_notify_status("waiting for the router at %s", m->settings->router);
        else if (canary_error(m->canary))
                daemon_notify_status("takes no jobs: %s", canary_error(m->canary));
        else if (m->options.task)
                daemon_notify_status("%zu of %" PRIu64 " slots busy", m->tasks.n_members,
                                     m->settings->slots);
        else if (count.n_held + count.n_failed + count.n_under_way == 0)
                daemon_notify_status("waiting for a version of %s", topics);
        else if (count.n_failed > 0)
                daemon_notify_status(
                        "%zu of %" PRIu64 " slots busy; %zu versions held, %zu being installed, %zu "
                        "failed: %s %s: %s",
                        m->tasks.n_members, m->settings->slots, count.n_held, count.n_under_way,
                        count.n_failed, count.failed_track, count.failed_version, count.failed_error);
        else
                daemon_notify_status("%zu of %" PRIu64 " slots busy; %zu versions held, %zu being installed",
                                     m->tasks.n_members, m->settings->slots, count.n_held,
                                     count.n_under_way);
}

/* Each is told on the bus to all who watch the unit: not one for each job, where there are many. */
void manager_show_status(Manager *m)
{
        m->status_is_stale = sd_event_source_get_enabled(m->status, NULL) > 0;
        if (m->status_is_stale)
                return;
        say_status(m);
        if (sd_event_source_set_time_relative(m->status, STATUS_INTERVAL) >= 0)
                (void) sd_event_source_set_enabled(m->status, SD_EVENT_ONESHOT);
}

static int on_status(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;

        if (m->status_is_stale)
                manager_show_status(m);
        return 0;
}

uint64_t manager_slots(const Manager *m)
{
        return canary_is_well(m->canary) ? m->settings->slots : 0;
}

static int on_patience(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;
        int r;

        if (m->is_ready)
                return 0;
        daemon_notify_extend(PATIENCE_USEC);
        r = sd_event_source_set_time_relative(source, PATIENCE_INTERVAL);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int manager_when_settled(Manager *m)
{
        HoldingsCount count = holdings_count(m->holdings);

        if (m->is_ready || !m->is_configured || count.n_under_way > 0)
                return 0;
        m->is_ready = true;
        if (m->options.mode == MANAGER_CONFIGURE)
                return sd_event_exit(m->event, count.n_failed > 0 ? MANAGER_FAILED : 0);
        (void) daemon_notify_ready();
        return 0;
}

/* The end. */

int manager_when_drained(Manager *m)
{
        int r;

        manager_show_status(m);
        if (!m->is_draining || m->tasks.n_members > 0)
                return 0;
        if (outcome_store_size(m->outcomes) == 0)
                return sd_event_exit(m->event, 0);
        if (sd_event_source_get_enabled(m->last_acks, NULL) > 0)
                return 0;
        r = sd_event_source_set_time_relative(m->last_acks, ACK_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(m->last_acks, SD_EVENT_ONESHOT);
}

static int on_last_acks(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;

        return sd_event_exit(m->event, 0);
}

int manager_drain(Manager *m)
{
        const char *stopping = "STOPPING=1";
        int r = 0;

        if (m->is_draining)
                return sd_event_exit(m->event, 0);
        m->is_draining = true;
        daemon_notify_stop(&stopping);
        daemon_notify_extend(manager_longest_job(m) + ACK_USEC + PATIENCE_INTERVAL);
        if (m->link)
                r = manager_say_goodbye(m, "it is being stopped");
        return r < 0 ? r : manager_when_drained(m);
}

int manager_on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        Manager **manager = userdata;

        return *manager ? manager_drain(*manager) : sd_event_exit(sd_event_source_get_event(source), 0);
}

static int on_holdings_change(Holdings *holdings, void *userdata)
{
        Manager *m = userdata;
        int r;

        /* First: that it takes nothing yet is said before what it has. */
        r = m->options.mode == MANAGER_LISTEN ? canary_when_held(m->canary) : 0;
        manager_show_status(m);
        if (r >= 0)
                r = manager_say_configured(m);
        return r < 0 ? r : manager_when_settled(m);
}

static int on_canary_change(Canary *canary, void *userdata)
{
        Manager *m = userdata;

        manager_show_status(m);
        return m->is_configured && !m->is_draining ? manager_say_heartbeat(m) : 0;
}

/* Lifecycle. */

Manager *manager_free(Manager *m)
{
        if (!m)
                return NULL;
        manager_drop_jobs(m);
        canary_free(m->canary);
        manager_drop_questions(m);
        router_link_free(m->link);
        holdings_free(m->holdings);
        outcome_store_free(m->outcomes);
        s3_client_free(m->s3);
        aws_identity_free(m->identity);
        curl_source_free(m->curl);
        sandbox_status_free(m->sandbox);
        sd_event_source_disable_unref(m->status);
        sd_event_source_disable_unref(m->patience);
        sd_event_source_disable_unref(m->hello_again);
        sd_event_source_disable_unref(m->last_acks);
        safe_close(m->lock_fd);
        free(m);
        return NULL;
}

/* Below a folder of somebody else, or one that others may write to, could be their sandbox service. */
static bool folder_is_ours(const char *folder)
{
        struct stat st;

        return lstat(folder, &st) == 0 && S_ISDIR(st.st_mode) &&
               (st.st_uid == geteuid() || st.st_uid == 0) && !(st.st_mode & S_IWOTH);
}

static int lock_folder(const char *folder, int *ret_fd)
{
        _cleanup_free_ char *path = string_format("%s/" LOCK_NAME, folder);
        _cleanup_close_ int fd = -EBADF;

        if (!path)
                return -ENOMEM;
        if (mkdir(folder, 0711) < 0 && errno != EEXIST)
                return -errno;
        if (!folder_is_ours(folder)) {
                log_error("%s is another user's, or others may write to it", folder);
                return -EPERM;
        }
        fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? -EBUSY : -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int add_timer(Manager *m, sd_event_source **ret, sd_event_time_handler_t handler, bool is_on)
{
        int r = sd_event_add_time_relative(m->event, ret, CLOCK_MONOTONIC, 0, TIMER_ACCURACY, handler, m);

        if (r >= 0 && !is_on)
                r = sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
        return r < 0 ? r : 0;
}

/* Whoever has no input there asks for nothing there either: credentials are fetched when the first job wants
 * them. */
static int open_s3(Manager *m)
{
        const char *problem = aws_sign_check(curl_version_info(CURLVERSION_NOW)->version_num);
        int r = curl_source_new(m->event, &m->curl);

        if (r >= 0)
                r = aws_identity_new(m->event, m->curl, getenv, &m->identity);
        if (r >= 0 && !problem)
                r = s3_client_new(m->event, m->curl, m->identity, &m->settings->s3, &m->s3);
        m->run_host = (RunHost){ m->event, m->settings, m->holdings, m->s3, problem };
        return r;
}

int manager_new(sd_event *event, const WorkerSettings *settings, const ManagerOptions *options,
                Manager **ret)
{
        _cleanup_(manager_freep) Manager *m = malloc(sizeof(Manager));
        int r;

        if (!m)
                return -ENOMEM;
        *m = (Manager){ .event = event, .settings = settings, .options = *options, .lock_fd = -EBADF };
        list_init(&m->tasks);
        list_init(&m->questions);
        r = lock_folder(settings->folder, &m->lock_fd);
        if (r >= 0)
                r = add_timer(m, &m->status, on_status, false);
        if (r >= 0)
                r = outcome_store_new(settings->folder, &m->outcomes);
        if (r >= 0)
                r = holdings_new(event, settings, on_holdings_change, m, &m->holdings);
        if (r >= 0)
                r = open_s3(m);
        if (r >= 0)
                r = canary_new(&m->run_host, on_canary_change, m, &m->canary);
        if (r >= 0)
                r = sandbox_status_new(event, settings->sandbox, &m->sandbox);
        if (r >= 0)
                r = add_timer(m, &m->patience, on_patience, true);
        if (r >= 0)
                r = add_timer(m, &m->hello_again, manager_on_hello_again, false);
        if (r >= 0)
                r = add_timer(m, &m->last_acks, on_last_acks, false);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

int manager_run(Manager *m)
{
        const RouterPlace router = { m->settings->router, &m->settings->key };
        int r = router_link_new(m->event, &router, &manager_link_handlers, m, &m->link);

        if (r < 0)
                return log_errno(r, "Cannot use the router's address %s", m->settings->router);
        manager_show_status(m);
        r = sd_event_loop(m->event);
        return r < 0 ? log_errno(r, "The event loop failed") : r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The conversation with the router, docs/PROTOCOL.md part 2: a table of what it may say. A connection goes
 * hello, configure, configured; with the first `configured` of a connection what the router has not
 * acknowledged is said again. What is running belongs to no connection: its outcome is said on the one that
 * stands when it is over.
 *
 * systemd is told READY when the router has answered and every version is held or has failed; until then its
 * patience is extended. */

#include "manager.h"

#include "holdings.h"
#include "outcome-store.h"
#include "registry-query.h"
#include "router-link.h"
#include "run.h"

#include "basic/fd-util.h"
#include "basic/list.h"
#include "basic/string-util.h"
#include "shared/daemon-util.h"
#include "shared/log.h"
#include "shared/message-ids.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#define LOCK_NAME         "lock"
#define PATIENCE_USEC     (30 * USEC_PER_SEC) /* systemd's, until READY */
#define PATIENCE_INTERVAL (5 * USEC_PER_SEC)
#define ACK_USEC          USEC_PER_SEC /* how long a worker that ends waits for the last acknowledgements */
#define RETRY_HELLO_USEC  (5 * USEC_PER_SEC)
#define TIMER_ACCURACY    (100 * USEC_PER_MSEC)

typedef struct Task {
        ListLink link;
        Manager *manager;
        Run *run;
} Task;

struct Manager {
        sd_event *event;
        const WorkerSettings *settings;
        ManagerOptions options;
        int lock_fd;
        RouterLink *link;
        Holdings *holdings;
        OutcomeStore *outcomes;
        List tasks; /* owns its members */
        sd_event_source *patience, *hello_again, *last_acks;
        bool is_configured; /* the router of this connection has said what to hold */
        bool was_configured;
        bool is_ready, is_draining;
};

static Task *task_free(Task *task)
{
        list_remove(&task->manager->tasks, &task->link);
        run_free(task->run);
        free(task);
        return NULL;
}

Manager *manager_free(Manager *m)
{
        if (!m)
                return NULL;
        LIST_FOREACH(Task, task, &m->tasks, link)
                task_free(task);
        router_link_free(m->link);
        holdings_free(m->holdings);
        outcome_store_free(m->outcomes);
        sd_event_source_disable_unref(m->patience);
        sd_event_source_disable_unref(m->hello_again);
        sd_event_source_disable_unref(m->last_acks);
        safe_close(m->lock_fd);
        free(m);
        return NULL;
}

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

static void show_status(const Manager *m)
{
        HoldingsCount count = holdings_count(m->holdings);
        _cleanup_free_ char *topics = topics_text(m);

        if (!topics)
                return;
        if (m->is_draining)
                daemon_notify_status("ending: %zu jobs still run", m->tasks.n_members);
        else if (!m->is_configured)
                daemon_notify_status("waiting for the router at %s", m->settings->router);
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

/* Every version was tried: a worker is ready, and one that was only to configure is done. */
static int when_settled(Manager *m)
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

/* What is said to the router. */

static int say_configured(Manager *m)
{
        _cleanup_(configured_done) Configured configured = {};
        int r;

        if (!m->is_configured || m->is_draining || m->options.mode != MANAGER_LISTEN)
                return 0;
        r = holdings_describe(m->holdings, &configured);
        if (r < 0)
                return r;
        return router_link_send(m->link, PEER_CONFIGURED, configured_to_json(&configured), NULL, 0);
}

static int fill_hello_jobs(Manager *m, Hello *hello)
{
        hello->jobs = calloc(m->tasks.n_members + 1, sizeof(JobRef));
        if (!hello->jobs)
                return -ENOMEM;
        LIST_FOREACH(Task, task, &m->tasks, link) {
                const Job *job = run_job(task->run);

                /* Borrowed: see say_hello(). */
                hello->jobs[hello->n_jobs++] = (JobRef){ .job = job->job, .token = job->token };
        }
        for (size_t i = 0; i < outcome_store_size(m->outcomes); i++)
                if (strv_extend(&hello->unacknowledged, outcome_store_job(m->outcomes, i)) < 0)
                        return -ENOMEM;
        return 0;
}

static int say_hello(Manager *m)
{
        _cleanup_(configured_done) Configured configured = {};
        Hello hello = {
                .version = PEER_PROTOCOL,
                .name = m->settings->name,
                .channel = m->settings->channel,
                .topics = m->settings->topics,
                .slots = m->settings->slots,
        };
        json_object *body = NULL;
        int r;

        r = holdings_describe(m->holdings, &configured);
        hello.held = configured.held;
        if (r >= 0)
                r = fill_hello_jobs(m, &hello);
        if (r >= 0)
                body = hello_to_json(&hello);
        free(hello.jobs);
        strv_free(hello.unacknowledged);
        if (r < 0 || !body)
                return r < 0 ? r : -ENOMEM;
        return router_link_send(m->link, PEER_HELLO, body, NULL, 0);
}

static int say_outcome(Manager *m, const OutcomeText *text)
{
        json_object *body = outcome_to_json(&text->outcome);
        Bytes parts[PEER_N_PARTS_MAX];

        if (!body)
                return -ENOMEM;
        for (size_t i = 0; i < PEER_N_PARTS_MAX; i++)
                parts[i] = (Bytes){ text->parts[i].data, text->parts[i].size };
        return router_link_send(m->link, PEER_OUTCOME, body, parts, PEER_N_PARTS_MAX);
}

/* The router of a new connection may not know them. */
static int say_kept_outcomes(Manager *m)
{
        outcome_store_expire(m->outcomes);
        for (size_t i = 0; i < outcome_store_size(m->outcomes); i++) {
                _cleanup_(outcome_text_done) OutcomeText text = {};
                int r = outcome_store_get(m->outcomes, i, &text);

                if (r == 0)
                        r = say_outcome(m, &text);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* The end. */

static int end_when_drained(Manager *m)
{
        int r;

        show_status(m);
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

/* Until when the last of the jobs is over, from now. */
static usec_t longest_run(const Manager *m)
{
        usec_t now = now_usec(CLOCK_MONOTONIC), latest = now;

        LIST_FOREACH(Task, task, &m->tasks, link)
                latest = MAX(latest, run_deadline(task->run));
        return latest - now;
}

int manager_drain(Manager *m)
{
        const Notice notice = { .reason = (char *) "it is being stopped" };
        json_object *body;
        int r;

        if (m->is_draining)
                return sd_event_exit(m->event, 0);
        m->is_draining = true;
        daemon_notify_extend(longest_run(m) + ACK_USEC + PATIENCE_INTERVAL);
        body = notice_to_json(&notice);
        if (!body)
                return -ENOMEM;
        if (m->link) {
                r = router_link_send(m->link, PEER_GOODBYE, body, NULL, 0);
                if (r < 0)
                        return r;
        } else
                json_object_put(body);
        return end_when_drained(m);
}

/* Jobs. */

static void log_end(const Manager *m, const Run *run, const OutcomeText *text)
{
        const Job *job = run_job(run);
        _cleanup_free_ char *code = string_format("%" PRIu64, text->outcome.status_code);
        _cleanup_free_ char *error = NULL;

        if (text->outcome.error)
                error = string_escape(text->outcome.error, strlen(text->outcome.error), 512);
        log_struct(text->outcome.status_code >= STATUS_INTERNAL_ERROR &&
                                   text->outcome.status_code <= STATUS_SETUP_FAILED
                           ? LOG_WARNING
                           : LOG_INFO,
                   LOG_FIELDS({ "MESSAGE_ID", MSG_WORKER_JOB_ENDED }, { "PIPELINE_JOB", job->job },
                              { "PIPELINE_WORKER", m->settings->name }, { "PIPELINE_TRACK", job->track },
                              { "PIPELINE_CODE", code },
                              { "PIPELINE_SCOPE", run_record(run)->answer.scope }),
                   "Job %s (%s %s) ended with %s%s%s", job->job, job->track, job->exercise, code,
                   error ? ": " : "", error ?: "");
}

static int on_run_ended(Run *run, void *userdata)
{
        _cleanup_(outcome_text_done) OutcomeText text = {};
        Task *task = userdata;
        Manager *m = task->manager;
        int r;

        r = outcome_build(run_record(run), &text);
        if (r < 0)
                return r;
        r = say_outcome(m, &text);
        if (r < 0)
                return r;
        r = outcome_store_put(m->outcomes, &text);
        if (r < 0)
                log_warning("The outcome of job %s cannot be kept: %s", run_job(run)->job, strerror(-r));
        log_end(m, run, &text);
        task_free(task);
        return end_when_drained(m);
}

/* Why a job is not taken, or NULL. */
static const char *reject_reason(const Manager *m, const Job *job)
{
        if (m->is_draining)
                return "this worker is being stopped";
        if (m->tasks.n_members >= m->settings->slots)
                return "this worker has no free slot";
        if (job->channel != m->settings->channel)
                return "this worker serves another channel";
        if (m->settings->topics && !strv_contains(m->settings->topics, job->track))
                return "this worker does not serve the track";
        return NULL;
}

static int reject(Manager *m, const Job *job, const char *reason)
{
        _cleanup_(outcome_text_done) OutcomeText text = {};
        const RunRecord record = {
                .job = job,
                .worker = m->settings->name,
                .failed_code = STATUS_WORKER_ERROR,
                .failed_error = (char *) reason,
        };
        int r = outcome_build(&record, &text);

        return r < 0 ? r : say_outcome(m, &text);
}

static Task *find_task(const Manager *m, const char *job, const char *token)
{
        LIST_FOREACH(Task, task, &m->tasks, link) {
                const Job *own = run_job(task->run);

                if (streq(own->job, job) && streq(own->token, token))
                        return task;
        }
        return NULL;
}

/* What the router says. Each answers 0, JSON_BAD with what is wrong, or -errno. */

static int on_job(Manager *m, json_object *body, char **ret_error)
{
        _cleanup_(job_done) Job job = {};
        const char *reason;
        Task *task;
        int r;

        r = job_from_json(body, &job, ret_error);
        if (r != 0)
                return r;
        if (find_task(m, job.job, job.token))
                return 0;
        reason = reject_reason(m, &job);
        if (reason)
                return reject(m, &job, reason);
        task = calloc(1, sizeof(Task));
        if (!task)
                return -ENOMEM;
        task->manager = m;
        list_append(&m->tasks, &task->link);
        r = run_new(m->event, m->settings, &job, on_run_ended, task, &task->run);
        if (r < 0)
                return r;
        r = run_start(task->run, m->holdings);
        if (r >= 0)
                show_status(m);
        return r;
}

static int on_cancel(Manager *m, json_object *body, char **ret_error)
{
        _cleanup_(job_ref_done) JobRef ref = {};
        Task *task;
        int r;

        r = job_ref_from_json(body, &ref, ret_error);
        if (r != 0)
                return r;
        task = find_task(m, ref.job, ref.token);
        return task ? run_cancel(task->run, ref.reason) : 0;
}

static int on_outcome_ack(Manager *m, json_object *body, char **ret_error)
{
        _cleanup_(job_ref_done) JobRef ref = {};
        int r;

        r = job_ref_from_json(body, &ref, ret_error);
        if (r != 0)
                return r;
        outcome_store_remove(m->outcomes, ref.job, ref.token);
        return m->is_draining ? end_when_drained(m) : 0;
}

/* By hand, a track that nobody deployed to is more likely a slip of the pen. */
static int check_topics(Manager *m, const Configure *configure)
{
        for (char **topic = m->settings->topics; !m->options.waits && topic && *topic; topic++) {
                bool is_known = false;

                for (size_t i = 0; i < configure->versions.n_items; i++)
                        is_known = is_known || streq(configure->versions.items[i].track, *topic);
                if (is_known)
                        continue;
                log_error("No version is deployed for track %s of %s; --wait waits for one", *topic,
                          channel_to_string(m->settings->channel));
                return sd_event_exit(m->event, MANAGER_FAILED);
        }
        return 0;
}

static int show_what_would_be(Manager *m, const Configure *configure)
{
        for (size_t i = 0; i < configure->versions.n_items; i++) {
                const VersionItem *item = &configure->versions.items[i];

                log_info("Would install %s %s %s", item->track, item->version, item->digest ?: "");
        }
        return sd_event_exit(m->event, 0);
}

static int on_configure(Manager *m, json_object *body, char **ret_error)
{
        _cleanup_(configure_done) Configure configure = {};
        bool is_first = !m->is_configured;
        int r;

        r = configure_from_json(body, &configure, ret_error);
        if (r != 0)
                return r;
        router_link_set_times(m->link, configure.heartbeat_usec, configure.dead_usec);
        if (!m->was_configured) {
                r = check_topics(m, &configure);
                if (r < 0)
                        return r;
        }
        if (m->options.mode == MANAGER_DRYRUN)
                return show_what_would_be(m, &configure);
        m->is_configured = m->was_configured = true;
        r = holdings_configure(m->holdings, &configure);
        if (r >= 0)
                r = say_configured(m);
        if (r >= 0 && is_first)
                r = say_kept_outcomes(m);
        show_status(m);
        return r < 0 ? r : when_settled(m);
}

/* Questions about the registry. */

static int answer_query(Manager *m, json_object *body, PeerType answer_type,
                        int (*ask)(const char *registry, const Query *query, Answer *ret), char **ret_error)
{
        _cleanup_(query_done) Query query = {};
        _cleanup_(answer_done) Answer answer = {};
        int r;

        r = query_from_json(body, &query, ret_error);
        if (r == 0)
                r = ask(m->settings->registry, &query, &answer);
        return r != 0 ? r : router_link_send(m->link, answer_type, answer_to_json(&answer), NULL, 0);
}

static int on_resolve(Manager *m, json_object *body, char **ret_error)
{
        return answer_query(m, body, PEER_RESOLVED, registry_resolve, ret_error);
}

static int on_list(Manager *m, json_object *body, char **ret_error)
{
        return answer_query(m, body, PEER_LISTED, registry_list, ret_error);
}

static int on_hello_again(sd_event_source *source, uint64_t usec, void *userdata)
{
        return say_hello(userdata);
}

static int on_refused(Manager *m, json_object *body, char **ret_error)
{
        _cleanup_(notice_done) Notice notice = {};
        int r;

        r = notice_from_json(body, &notice, ret_error);
        if (r != 0)
                return r;
        log_struct(
                LOG_WARNING,
                LOG_FIELDS({ "MESSAGE_ID", MSG_WORKER_REFUSED }, { "PIPELINE_WORKER", m->settings->name }),
                "The router refuses this worker: %s", notice.error ?: "it does not say why");
        daemon_notify_status("refused by the router: %s", notice.error ?: "it does not say why");
        r = sd_event_source_set_time_relative(m->hello_again, RETRY_HELLO_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(m->hello_again, SD_EVENT_ONESHOT);
}

static int on_heartbeat(Manager *m, json_object *body, char **ret_error)
{
        return 0; /* that it came is all it says */
}

static int (*const messages[_PEER_TYPE_MAX])(Manager *m, json_object *body, char **ret_error) = {
        [PEER_CONFIGURE] = on_configure,     [PEER_JOB] = on_job,         [PEER_CANCEL] = on_cancel,
        [PEER_OUTCOME_ACK] = on_outcome_ack, [PEER_RESOLVE] = on_resolve, [PEER_LIST] = on_list,
        [PEER_HEARTBEAT] = on_heartbeat,     [PEER_REFUSED] = on_refused,
};

static int on_message(RouterLink *link, const PeerMessage *message, void *userdata)
{
        _cleanup_free_ char *error = NULL;
        Manager *m = userdata;
        int r;

        if (!messages[message->type])
                return 0;
        r = messages[message->type](m, message->body, &error);
        if (r == JSON_BAD)
                log_warning("The router's %s is malformed: %s", peer_type_to_string(message->type),
                            error ?: "");
        return r < 0 ? r : 0;
}

/* The connection. */

static int on_connected(RouterLink *link, void *userdata)
{
        Manager *m = userdata;

        m->is_configured = false;
        return m->is_draining ? 0 : say_hello(m);
}

static int on_lost(RouterLink *link, const char *why, void *userdata)
{
        Manager *m = userdata;

        m->is_configured = false;
        log_struct(LOG_WARNING,
                   LOG_FIELDS({ "MESSAGE_ID", MSG_WORKER_ROUTER_LOST },
                              { "PIPELINE_WORKER", m->settings->name }),
                   "The router at %s is lost: %s", m->settings->router, why);
        show_status(m);
        return 0;
}

static int on_beat(RouterLink *link, void *userdata)
{
        Manager *m = userdata;
        Heartbeat heartbeat = { .slots = m->settings->slots, .running = m->tasks.n_members };
        struct sysinfo info;

        if (!m->is_configured)
                return 0;
        if (sysinfo(&info) == 0) /* /proc/loadavg is not there under the unit */
                heartbeat.load = info.loads[0] * 100 >> SI_LOAD_SHIFT;
        return router_link_send(link, PEER_HEARTBEAT, heartbeat_to_json(&heartbeat), NULL, 0);
}

static const RouterLinkHandlers link_handlers = { on_connected, on_message, on_beat, on_lost };

static int on_holdings_change(Holdings *holdings, void *userdata)
{
        Manager *m = userdata;
        int r;

        show_status(m);
        r = say_configured(m);
        return r < 0 ? r : when_settled(m);
}

/* Lifecycle. */

static int lock_folder(const char *folder, int *ret_fd)
{
        _cleanup_free_ char *path = string_format("%s/" LOCK_NAME, folder);
        _cleanup_close_ int fd = -EBADF;

        if (!path)
                return -ENOMEM;
        if (mkdir(folder, 0700) < 0 && errno != EEXIST)
                return -errno;
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

int manager_new(sd_event *event, const WorkerSettings *settings, const ManagerOptions *options,
                Manager **ret)
{
        _cleanup_(manager_freep) Manager *m = malloc(sizeof(Manager));
        int r;

        if (!m)
                return -ENOMEM;
        *m = (Manager){ .event = event, .settings = settings, .options = *options, .lock_fd = -EBADF };
        list_init(&m->tasks);
        r = lock_folder(settings->folder, &m->lock_fd);
        if (r >= 0)
                r = outcome_store_new(settings->folder, &m->outcomes);
        if (r >= 0)
                r = holdings_new(event, settings, on_holdings_change, m, &m->holdings);
        if (r >= 0)
                r = add_timer(m, &m->patience, on_patience, true);
        if (r >= 0)
                r = add_timer(m, &m->hello_again, on_hello_again, false);
        if (r >= 0)
                r = add_timer(m, &m->last_acks, on_last_acks, false);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

int manager_start(Manager *m)
{
        int r = router_link_new(m->event, m->settings->router, &link_handlers, m, &m->link);

        if (r >= 0)
                show_status(m);
        return r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where nothing is set, the canary is pipeline-init itself, executed as a guest in a sandbox of the image:
 * its word is the same in every image and needs no input, and it comes only where scope, container, limits,
 * ids and filter all work. A track that is given an exercise and an input has its own program run, and 200
 * is what must come of it.
 *
 * It fails until it succeeds: it is tried again after a time that doubles. */

#include "canary.h"

#include "basic/string-util.h"
#include "shared/log.h"
#include "shared/message-ids.h"

#include <errno.h>
#include <inttypes.h>

#define CANARY_PROGRAM  "/.pipeline-init"
#define CANARY_EXERCISE "canary"
#define CANARY_WORD     "pipeline canary\n" /* src/init/init.c */

#define SETUP_USEC       (10 * USEC_PER_SEC)
#define RETRY_USEC       USEC_PER_SEC
#define RETRY_DOUBLINGS  6U
#define TIMER_ACCURACY   (100 * USEC_PER_MSEC)
#define ERROR_LENGTH_MAX 500U
#define ID_BYTES         16U
#define TOKEN_BYTES      8U

typedef enum CanaryState {
        CANARY_IDLE, /* no version is held, or none shall be tried */
        CANARY_DUE,
        CANARY_RUNNING,
        CANARY_WELL,
        CANARY_ILL,
} CanaryState;

struct Canary {
        const RunHost *host; /* borrowed */
        CanaryHandler on_change;
        void *userdata;
        Configure configure;
        CanaryState state;
        sd_event_source *timer; /* starts it */
        Run *run;
        char *error; /* ill, and until it is well again */
        unsigned n_failed;
};

Canary *canary_free(Canary *canary)
{
        if (!canary)
                return NULL;
        run_free(canary->run);
        sd_event_source_disable_unref(canary->timer);
        configure_done(&canary->configure);
        free(canary->error);
        free(canary);
        return NULL;
}

bool canary_is_well(const Canary *canary)
{
        return canary->state == CANARY_IDLE || canary->state == CANARY_WELL;
}

const char *canary_error(const Canary *canary)
{
        return canary->error;
}

static int set_state(Canary *canary, CanaryState state)
{
        bool was_well = canary_is_well(canary), had_error = canary->error;

        canary->state = state;
        if (canary_is_well(canary)) {
                free(canary->error);
                canary->error = NULL;
                canary->n_failed = 0;
        }
        if (was_well == canary_is_well(canary) && had_error == (canary->error != NULL))
                return 0;
        return canary->on_change(canary, canary->userdata);
}

/* From the event loop, for one that ended may still be running its own functions. */
static int wake_in(Canary *canary, usec_t usec)
{
        int r = sd_event_source_set_time_relative(canary->timer, usec);

        return r < 0 ? r : sd_event_source_set_enabled(canary->timer, SD_EVENT_ONESHOT);
}

/* What became of it */

static bool is_own(const RunRecord *record)
{
        return streq(record->job->exercise, CANARY_EXERCISE) && !record->job->input;
}

static bool said_its_word(const RunRecord *record)
{
        const Buffer *said = &record->streams[0].kept;

        return record->failed_code == 0 && record->answer.code == 0 && record->answer.cause &&
               streq(record->answer.cause, "exited") && record->answer.status == 0 &&
               said->size == strlen(CANARY_WORD) && memcmp(said->data, CANARY_WORD, said->size) == 0;
}

/* NULL in *ret where it is well. An image in which nothing can be run says nothing of the host. */
static int judge(const RunRecord *record, char **ret)
{
        _cleanup_(outcome_text_done) OutcomeText text = {};
        const Job *job = record->job;
        int r = outcome_build(record, &text);

        if (r < 0)
                return r;
        if (is_own(record) ? said_its_word(record) || record->answer.program
                           : text.outcome.status_code == STATUS_OK)
                return 0;
        *ret = string_format("the canary of %s %s ended with %" PRIu64 "%s%s", job->track, job->version,
                             text.outcome.status_code, text.outcome.error ? ": " : "",
                             text.outcome.error ?: "");
        return *ret ? 0 : -ENOMEM;
}

static int be_well(Canary *canary)
{
        if (canary->error)
                log_struct(LOG_NOTICE,
                           LOG_FIELDS({ "MESSAGE_ID", MSG_WORKER_CANARY_WELL },
                                      { "PIPELINE_WORKER", canary->host->settings->name }),
                           "The canary is well again; jobs are taken");
        return set_state(canary, CANARY_WELL);
}

/* Takes `error`, which may have the words of others in it. */
static int be_ill(Canary *canary, char *error)
{
        _cleanup_free_ char *said = error;
        usec_t delay = RETRY_USEC << MIN(canary->n_failed, RETRY_DOUBLINGS);
        int r;

        canary->n_failed++;
        free(canary->error);
        canary->error = string_escape(said, strlen(said), ERROR_LENGTH_MAX);
        if (!canary->error)
                return -ENOMEM;
        log_struct(LOG_ERR,
                   LOG_FIELDS({ "MESSAGE_ID", MSG_WORKER_CANARY_FAILED },
                              { "PIPELINE_WORKER", canary->host->settings->name }),
                   "No jobs are taken: %s; tried again in %" PRIu64 " s", canary->error,
                   delay / USEC_PER_SEC);
        r = wake_in(canary, delay);
        if (r < 0)
                return r;
        canary->state = CANARY_ILL;
        return canary->on_change(canary, canary->userdata);
}

static int on_run_ended(Run *run, void *userdata)
{
        Canary *canary = userdata;
        char *error = NULL;
        int r = judge(run_record(run), &error);

        if (r < 0)
                return r;
        canary->run = run_free(run);
        return error ? be_ill(canary, error) : be_well(canary);
}

/* The job */

static const TrackSettings *find_settings(const Canary *canary, const char *track)
{
        for (size_t i = 0; i < canary->configure.n_settings; i++)
                if (streq(canary->configure.settings[i].track, track))
                        return &canary->configure.settings[i];
        return NULL;
}

/* The first version that is held and shall be tried. */
static const VersionItem *find_version(const Canary *canary, const TrackSettings **ret_settings)
{
        for (size_t i = 0; i < canary->configure.versions.n_items; i++) {
                const VersionItem *item = &canary->configure.versions.items[i];
                const TrackSettings *settings = find_settings(canary, item->track);

                if (!settings || settings->canary_is_off ||
                    !holdings_has(canary->host->holdings, item->track, item->version))
                        continue;
                *ret_settings = settings;
                return item;
        }
        return NULL;
}

static int copy_text(const char *text, char **ret)
{
        *ret = strdup(text);
        return *ret ? 0 : -ENOMEM;
}

static int make_job(const Canary *canary, const VersionItem *item, const TrackSettings *settings, Job *job)
{
        bool is_own_program = !settings->canary_exercise;
        int r;

        *job = (Job){ .attempt = 1,
                      .channel = canary->host->settings->channel,
                      .limits = settings->limits,
                      .setup_usec = SETUP_USEC,
                      .job = random_hex(ID_BYTES),
                      .token = random_hex(TOKEN_BYTES) };
        r = job->job && job->token ? copy_text("canary", &job->action) : -ENOMEM;
        if (r == 0)
                r = copy_text("canary", &job->id);
        if (r == 0)
                r = copy_text(item->track, &job->track);
        if (r == 0)
                r = copy_text(item->version, &job->version);
        if (r == 0)
                r = copy_text(settings->profile, &job->profile);
        if (r == 0)
                r = copy_text(is_own_program ? CANARY_EXERCISE : settings->canary_exercise, &job->exercise);
        if (r == 0 && !is_own_program)
                r = copy_text(settings->canary_input, &job->input);
        if (r == 0 && is_own_program)
                r = strv_extend(&job->entrypoint, CANARY_PROGRAM);
        for (char **word = settings->entrypoint; r >= 0 && !is_own_program && word && *word; word++)
                r = strv_extend(&job->entrypoint, *word);
        return r < 0 ? r : 0;
}

static int start(Canary *canary)
{
        _cleanup_(job_done) Job job = {};
        const TrackSettings *settings;
        const VersionItem *item = find_version(canary, &settings);
        int r;

        if (!item)
                return set_state(canary, CANARY_IDLE);
        r = make_job(canary, item, settings, &job);
        if (r == 0)
                r = run_new(canary->host, &job, on_run_ended, canary, &canary->run);
        if (r < 0)
                return r;
        canary->state = CANARY_RUNNING;
        return run_start(canary->run);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Canary *canary = userdata;

        return canary->state == CANARY_DUE || canary->state == CANARY_ILL ? start(canary) : 0;
}

/* When */

static int be_due(Canary *canary)
{
        int r;

        if (canary->state == CANARY_DUE || canary->state == CANARY_RUNNING)
                return 0;
        r = wake_in(canary, 0);
        return r < 0 ? r : set_state(canary, CANARY_DUE);
}

void canary_configure(Canary *canary, Configure *configure)
{
        configure_done(&canary->configure);
        canary->configure = *configure;
        *configure = (Configure){};
}

int canary_when_held(Canary *canary)
{
        const TrackSettings *settings;
        const VersionItem *item = find_version(canary, &settings);

        if (!item && canary->state != CANARY_RUNNING)
                return set_state(canary, CANARY_IDLE);
        return item && canary->state == CANARY_IDLE ? be_due(canary) : 0;
}

/* The suite's own faults. What a client asked for (an input that is not there) is none, and no fault of an
 * image. */
static bool is_abnormal(const RunRecord *record)
{
        if (record->failed_code > 0)
                return record->failed_code == STATUS_INTERNAL_ERROR ||
                       record->failed_code == STATUS_WORKER_ERROR;
        return record->answer.code == STATUS_INTERNAL_ERROR ||
               (record->answer.code == STATUS_SETUP_FAILED && !record->answer.program);
}

int canary_when_ended(Canary *canary, const RunRecord *record)
{
        return canary->state == CANARY_WELL && is_abnormal(record) ? be_due(canary) : 0;
}

int canary_new(const RunHost *host, CanaryHandler on_change, void *userdata, Canary **ret)
{
        _cleanup_(canary_freep) Canary *canary = malloc(sizeof(Canary));
        int r;

        if (!canary)
                return -ENOMEM;
        *canary = (Canary){ .host = host, .on_change = on_change, .userdata = userdata };
        r = sd_event_add_time(host->event, &canary->timer, CLOCK_MONOTONIC, USEC_INFINITY, TIMER_ACCURACY,
                              on_timer, canary);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(canary);
        return 0;
}

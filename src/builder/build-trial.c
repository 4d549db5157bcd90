/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The image is tried before anything is pushed, by the very code that a worker runs jobs with: the sandbox
 * service checks and unpacks it, the entry point is found, and each fixture is a job whose result must be
 * the expected one. Where a repository brings no fixtures the program is started once with next to no input:
 * whatever it says then, it must be one that can be started. */

#include "build-cases.h"
#include "build-work.h"
#include "git.h"

#include "basic/string-util.h"
#include "shared/oci-layout.h"
#include "worker/holdings.h"
#include "worker/run.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#define REGISTRY       "registry"
#define TRIAL_VERSION  "trial"
#define DIFFERENCE_MAX 2000U

typedef struct Trial {
        Work *work;
        WorkerSettings settings; /* a worker's, for this image alone; borrows */
        sd_event *event;
        Holdings *holdings;
        RunHost host;
        Run *run;
        bool is_done; /* what is waited for has come */
} Trial;

static void trial_done(Trial *trial)
{
        run_free(trial->run);
        holdings_free(trial->holdings);
        sd_event_unref(trial->event);
        registry_settings_done(&trial->settings.registry);
        free(trial->settings.images);
        strv_free(trial->settings.input_folders);
}

/* A registry of one image. */
static int make_registry(Trial *trial)
{
        Work *work = trial->work;
        _cleanup_free_ char *registry = build_path(work, REGISTRY), *channel = NULL, *track = NULL,
                            *error = NULL;
        int r;

        if (registry)
                channel = string_format("%s/%s", registry, channel_to_string(work->job->target));
        if (channel)
                track = string_format("%s/%s", channel, work->job->track);
        if (!track)
                return -ENOMEM;
        if (mkdir(registry, 0755) < 0 || mkdir(channel, 0755) < 0 || rename(work->image, track) < 0)
                return -errno;
        free(work->image);
        work->image = TAKE_PTR(track);
        trial->settings.images = build_path(work, "images");
        r = trial->settings.images ? registry_settings_init(&trial->settings.registry) : -ENOMEM;
        if (r == 0)
                r = registry_settings_set_address(&trial->settings.registry, registry, &error);
        return r > 0 ? -EINVAL : r;
}

static int trial_init(Trial *trial)
{
        Work *work = trial->work;
        int r;

        trial->settings = (WorkerSettings){
                .name = work->worker->name,
                .channel = work->job->target,
                .slots = 1,
                .sandbox = work->worker->sandbox,
        };
        r = make_registry(trial);
        if (r >= 0)
                r = strv_extend(&trial->settings.input_folders, work->folder);
        return r < 0 ? r : MIN(sd_event_new(&trial->event), 0);
}

static int wait_until_done(Trial *trial)
{
        int r = 0;

        while (r >= 0 && !trial->is_done)
                r = sd_event_run(trial->event, UINT64_MAX);
        trial->is_done = false;
        return MIN(r, 0);
}

/* Installing */

static int on_holdings(Holdings *holdings, void *userdata)
{
        HoldingsCount count = holdings_count(holdings);
        Trial *trial = userdata;

        trial->is_done = count.n_under_way == 0;
        return 0;
}

static int install(Trial *trial)
{
        Work *work = trial->work;
        VersionItem item = { .track = work->job->track,
                             .version = (char *) TRIAL_VERSION,
                             .digest = work->digest };
        TrackSettings setting = { .track = work->job->track, .entrypoint = work->job->entrypoint };
        const Configure configure = { .versions = { &item, 1 }, .settings = &setting, .n_settings = 1 };
        HoldingsCount count;
        int r;

        r = holdings_new(trial->event, &trial->settings, on_holdings, trial, &trial->holdings);
        if (r >= 0)
                r = holdings_configure(trial->holdings, &configure);
        if (r >= 0)
                r = wait_until_done(trial);
        if (r < 0)
                return r;
        count = holdings_count(trial->holdings);
        if (count.n_held == 0)
                return build_end(work, STATUS_ANALYZER_FAILED, NULL, "the image cannot be used: %s",
                                 count.failed_error ?: "unknown");
        return 0;
}

/* Running */

static int on_run_ended(Run *run, void *userdata)
{
        Trial *trial = userdata;

        trial->is_done = true;
        return 0;
}

static int copy_text(char **ret, const char *text)
{
        *ret = text ? strdup(text) : NULL;
        return text && !*ret ? -ENOMEM : 0;
}

static int make_job(const Trial *trial, const char *exercise, const char *folder, Job *ret)
{
        const Work *work = trial->work;
        Job job = {
                .attempt = 1,
                .channel = work->job->target,
                .limits = work->job->limits,
                .setup_usec = work->job->setup_usec,
                .target = _CHANNEL_INVALID,
        };
        int r = 0;

        job.input = string_format("file://%s/", folder);
        if (copy_text(&job.job, work->job->job) < 0 || copy_text(&job.token, work->job->token) < 0 ||
            copy_text(&job.action, "trial") < 0 || copy_text(&job.track, work->job->track) < 0 ||
            copy_text(&job.exercise, exercise) < 0 || copy_text(&job.id, "trial") < 0 ||
            copy_text(&job.version, TRIAL_VERSION) < 0 || copy_text(&job.digest, work->digest) < 0 ||
            copy_text(&job.profile, work->job->profile) < 0 || !job.input)
                r = -ENOMEM;
        for (char **word = work->job->entrypoint; r == 0 && word && *word; word++)
                r = strv_extend(&job.entrypoint, *word);
        if (r < 0)
                job_done(&job);
        else
                *ret = job;
        return r;
}

static int run_job_once(Trial *trial, const char *exercise, const char *folder)
{
        _cleanup_(job_done) Job job = {};
        int r = make_job(trial, exercise, folder, &job);

        trial->run = run_free(trial->run);
        trial->host = (RunHost){ trial->event, &trial->settings, trial->holdings, NULL, "a trial has none" };
        if (r == 0)
                r = run_new(&trial->host, &job, on_run_ended, trial, &trial->run);
        if (r == 0)
                r = run_start(trial->run);
        return r < 0 ? r : wait_until_done(trial);
}

/* What it wrote to standard error goes to the log of the build. */
static int log_streams(const Trial *trial)
{
        const Buffer *errors = &run_record(trial->run)->streams[1].kept;

        return errors->size > 0 ? build_log(trial->work, (const char *) errors->data, errors->size) : 0;
}

static int end_with_difference(Work *work, const Case *c, const Buffer *got, const char *what)
{
        _cleanup_free_ char *is = string_escape((const char *) got->data ?: "", got->size, DIFFERENCE_MAX);
        _cleanup_free_ char *wanted = string_escape(c->expected, c->expected_size, DIFFERENCE_MAX);
        _cleanup_json_ json_object *detail = json_object_new_object();

        if (!is || !wanted || !detail || json_add_text(detail, "fixture", c->name) < 0 ||
            json_add_text(detail, "expected", wanted) < 0 || json_add_text(detail, "result", is) < 0)
                return -ENOMEM;
        return build_end(work, STATUS_ANALYZER_FAILED, TAKE_PTR(detail), "the fixture %s: %s", c->name,
                         what);
}

static size_t without_space(const char *s, size_t n)
{
        while (n > 0 && (s[n - 1] == '\n' || s[n - 1] == ' ' || s[n - 1] == '\r'))
                n--;
        return n;
}

/* The same value, or the same text where it is no JSON. */
static bool is_same(const Buffer *got, const Case *c)
{
        _cleanup_json_ json_object *a = NULL, *b = NULL;
        _cleanup_free_ char *error_a = NULL, *error_b = NULL;
        size_t n = without_space((const char *) got->data, got->size),
               m = without_space(c->expected, c->expected_size);

        if (json_object_from_bytes(got->data, got->size, &a, &error_a) == 0 &&
            json_object_from_bytes(c->expected, c->expected_size, &b, &error_b) == 0)
                return json_object_equal(a, b);
        return n == m && memcmp(got->data, c->expected, n) == 0;
}

static int try_case(Trial *trial, const Case *c)
{
        _cleanup_(outcome_text_done) OutcomeText text = {};
        const RunRecord *record;
        int r = run_job_once(trial, c->exercise, c->folder);

        if (r < 0)
                return r;
        r = log_streams(trial);
        if (r < 0)
                return r;
        record = run_record(trial->run);
        r = outcome_build(record, &text);
        if (r < 0)
                return r;
        if (text.outcome.status_code != STATUS_OK)
                return end_with_difference(trial->work, c, &record->results[0].data,
                                           text.outcome.error ?: "it did not end well");
        if (!is_same(&record->results[0].data, c))
                return end_with_difference(trial->work, c, &record->results[0].data,
                                           "the result is another");
        return 0;
}

/* Whether it can be started; what it makes of nothing is its own affair. */
static int try_start(Trial *trial)
{
        _cleanup_free_ char *folder = build_path(trial->work, "nothing");
        _cleanup_free_ char *file = build_path(trial->work, "nothing/README");
        const RunRecord *record;
        int r;

        if (!folder || !file)
                return -ENOMEM;
        if (mkdir(folder, 0755) < 0)
                return -errno;
        r = git_write_text(file, "There is nothing to do.\n");
        if (r == 0)
                r = run_job_once(trial, "nothing", folder);
        if (r < 0)
                return r;
        record = run_record(trial->run);
        if (record->failed_code == 0 && record->answer.code == 0)
                return log_streams(trial);
        return build_end(trial->work, STATUS_ANALYZER_FAILED, NULL, "the image cannot be started: %s",
                         record->failed_error ?: record->answer.error ?: "unknown");
}

int build_try(Work *work)
{
        _cleanup_(trial_done) Trial trial = { .work = work };
        _cleanup_(cases_done) Cases cases = {};
        int r = build_say(work, "trial", "trying the image");

        if (r == 0)
                r = cases_read(work, &cases);
        if (r == 0)
                r = trial_init(&trial);
        if (r >= 0)
                r = r > 0 ? r : install(&trial);
        for (size_t i = 0; r == 0 && i < cases.n_cases; i++) {
                r = build_say(work, "trial", "trying %s", cases.cases[i].name);
                if (r == 0)
                        r = try_case(&trial, &cases.cases[i]);
        }
        return r == 0 && cases.n_cases == 0 ? try_start(&trial) : r;
}

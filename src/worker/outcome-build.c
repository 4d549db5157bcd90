/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One table says what each cause of an end means to the client; what a guest left is validated and then
 * placed into the outcome byte for byte. Nothing the guest wrote is ever parsed into values and written
 * anew. */

#include "outcome-build.h"

#include "basic/string-util.h"
#include "proto/json-check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* A stream's escaped text in `context`: two of them, a mapping and the rest stay below a part's limit. */
#define STREAM_TEXT_MAX (1536U * 1024U)
/* What is placed into a part beside other members lies one deeper than it does alone. */
#define EMBEDDED_DEPTH_MAX (JSON_CHECK_DEPTH_MAX - 1)

/* The answer of sandboxd. */

typedef struct LimitSaid {
        char *name;
        uint64_t value, used;
} LimitSaid;

typedef struct AnswerSaid {
        SandboxAnswer answer;
        LimitSaid limit;
} AnswerSaid;

static const JsonField usage_fields[] = {
        { "wall_usec", &field_uint, offsetof(SandboxUsage, wall_usec), .optional = true },
        { "cpu_usec", &field_uint, offsetof(SandboxUsage, cpu_usec), .optional = true },
        { "memory_peak_bytes", &field_uint, offsetof(SandboxUsage, memory_peak_bytes), .optional = true },
        { "processes_peak", &field_uint, offsetof(SandboxUsage, processes_peak), .optional = true },
        { "written_bytes", &field_uint, offsetof(SandboxUsage, written_bytes), .optional = true },
        { "written_inodes", &field_uint, offsetof(SandboxUsage, written_inodes), .optional = true },
        { "stdout_bytes", &field_uint, offsetof(SandboxUsage, stdout_bytes), .optional = true },
        { "stderr_bytes", &field_uint, offsetof(SandboxUsage, stderr_bytes), .optional = true },
};

static const JsonTable usage_table = JSON_TABLE(SandboxUsage, usage_fields);

static const JsonField limit_fields[] = {
        { "name", &field_text, offsetof(LimitSaid, name), .is_valid = slug_is_valid, .form = "a name" },
        { "value", &field_uint, offsetof(LimitSaid, value) },
        { "used", &field_uint, offsetof(LimitSaid, used) },
};

static const JsonTable limit_table = JSON_TABLE(LimitSaid, limit_fields);

static const JsonField answer_fields[] = {
        { "code", &field_uint, offsetof(AnswerSaid, answer.code), .max = 599 },
        { "error", &field_text, offsetof(AnswerSaid, answer.error), .optional = true },
        { "program", &field_bool, offsetof(AnswerSaid, answer.program), .optional = true },
        { "cause", &field_text, offsetof(AnswerSaid, answer.cause), .optional = true,
          .is_valid = slug_is_valid, .form = "a name" },
        { "status", &field_uint, offsetof(AnswerSaid, answer.status), .optional = true, .max = 255 },
        { "signal", &field_uint, offsetof(AnswerSaid, answer.signal), .optional = true, .max = 255 },
        { "limit", &field_struct, offsetof(AnswerSaid, limit), .optional = true, .table = &limit_table },
        { "usage", &field_struct, offsetof(AnswerSaid, answer.usage), .optional = true,
          .table = &usage_table },
        { "scope", &field_text, offsetof(AnswerSaid, answer.scope), .optional = true },
        { "limits_enforced", &field_bool, offsetof(AnswerSaid, answer.limits_enforced), .optional = true },
};

static const JsonTable answer_table = JSON_TABLE(AnswerSaid, answer_fields);

int sandbox_answer_from_json(json_object *object, SandboxAnswer *ret, char **ret_error)
{
        AnswerSaid said = {};
        int r = json_read(&answer_table, object, &said, ret_error);

        if (r != 0)
                return r;
        said.answer.limit_name = said.limit.name;
        said.answer.limit_value = said.limit.value;
        said.answer.limit_used = said.limit.used;
        *ret = said.answer;
        return 0;
}

void sandbox_answer_done(SandboxAnswer *answer)
{
        free(answer->error);
        free(answer->cause);
        free(answer->limit_name);
        free(answer->scope);
        *answer = (SandboxAnswer){};
}

/* What the guest left. */

int stream_record_append(StreamRecord *stream, const void *data, size_t size)
{
        size_t room = STREAM_KEPT_MAX - stream->kept.size;

        stream->is_cut = stream->is_cut || size > room;
        return buffer_append(&stream->kept, data, MIN(size, room), STREAM_KEPT_MAX);
}

/* What a channel's guest leaves: files in their order, the first is the response. */
typedef struct ResultContract {
        char *names[RESULTS_MAX + 1];
        bool is_json;   /* the first file is an object */
        bool is_parsed; /* and goes into the response as it is, not as a text */
} ResultContract;

static const ResultContract contracts[_CHANNEL_MAX] = {
        [CHANNEL_TEST_RUNNERS] = { { (char *) "results.json" }, true, true },
        [CHANNEL_STATIC_ANALYZERS] = { { (char *) "analysis.json" }, true, false },
        [CHANNEL_REPRESENTERS] = { { (char *) "representation.txt", (char *) "mapping.json" },
                                   false,
                                   false },
};

char *const *result_names(Channel channel)
{
        return contracts[channel].names;
}

void run_record_done(RunRecord *record)
{
        sandbox_answer_done(&record->answer);
        for (size_t i = 0; i < ARRAY_SIZE(record->streams); i++)
                buffer_done(&record->streams[i].kept);
        for (size_t i = 0; i < RESULTS_MAX; i++)
                buffer_done(&record->results[i].data);
        free(record->failed_error);
        *record = (RunRecord){};
}

/* A writer of JSON objects: the first error stays, what is written after it is dropped. */
typedef struct Writer {
        Buffer *buffer;
        int error;
        bool has_members;
} Writer;

static void write_bytes(Writer *w, const void *data, size_t size)
{
        if (w->error == 0)
                w->error = buffer_append(w->buffer, data, size, PEER_PART_SIZE_MAX);
}

static void write_text(Writer *w, const char *text)
{
        write_bytes(w, text, strlen(text));
}

static void write_string(Writer *w, const char *s)
{
        if (!s)
                write_text(w, "null");
        else if (w->error == 0)
                w->error = json_escape_append(w->buffer, s, strlen(s), PEER_PART_SIZE_MAX);
}

static void write_name(Writer *w, const char *name)
{
        write_text(w, w->has_members ? ", \"" : "\"");
        write_text(w, name);
        write_text(w, "\": ");
        w->has_members = true;
}

static void write_open(Writer *w, const char *name)
{
        if (name)
                write_name(w, name);
        write_text(w, "{");
        w->has_members = false;
}

static void write_close(Writer *w)
{
        write_text(w, "}");
        w->has_members = true;
}

static void write_member(Writer *w, const char *name, const char *value)
{
        write_name(w, name);
        write_string(w, value);
}

static void write_number(Writer *w, const char *name, uint64_t value)
{
        char text[24];

        write_name(w, name);
        (void) snprintf(text, sizeof(text), "%" PRIu64, value);
        write_text(w, text);
}

static void write_bool(Writer *w, const char *name, bool value)
{
        write_name(w, name);
        write_text(w, value ? "true" : "false");
}

static void write_strings(Writer *w, const char *name, char *const *strings)
{
        write_name(w, name);
        write_text(w, "[");
        for (char *const *s = strings; s && *s; s++) {
                write_text(w, s == strings ? "" : ", ");
                write_string(w, *s);
        }
        write_text(w, "]");
}

/* A stream as text; what does not fit once it is escaped is cut too. Returns whether that was so. */
static bool write_stream(Writer *w, const char *name, const StreamRecord *stream)
{
        size_t before, n = stream->kept.size;
        int r;

        write_name(w, name);
        if (w->error != 0)
                return false;
        for (before = w->buffer->size;; n /= 2) {
                w->buffer->size = before;
                r = json_escape_append(w->buffer, stream->kept.data, n, before + STREAM_TEXT_MAX);
                if (r != -ENOBUFS)
                        break;
        }
        w->error = r;
        return n < stream->kept.size;
}

/* The context. */

static void write_invocation(Writer *w, const RunRecord *record)
{
        const SandboxAnswer *answer = &record->answer;
        bool cut[2];

        write_open(w, "invocation");
        write_strings(w, "command", record->arguments);
        if (answer->signal > 0)
                write_number(w, "signal", answer->signal);
        else if (answer->cause && streq(answer->cause, "exited"))
                write_number(w, "exit_status", answer->status);
        cut[0] = write_stream(w, "stdout", &record->streams[0]);
        cut[1] = write_stream(w, "stderr", &record->streams[1]);
        write_bool(w, "stdout_truncated", cut[0] || record->streams[0].is_cut);
        write_bool(w, "stderr_truncated", cut[1] || record->streams[1].is_cut);
        write_close(w);
}

static void write_limits(Writer *w, const Limits *limits)
{
        write_open(w, "limits");
        write_number(w, "wall_milliseconds", limits->wall_usec / USEC_PER_MSEC);
        write_number(w, "memory_bytes", limits->memory_bytes);
        write_number(w, "processes", limits->processes);
        write_number(w, "cpu_percent", limits->cpu_percent);
        write_number(w, "output_bytes", limits->output_bytes);
        write_number(w, "result_bytes", limits->result_bytes);
        write_number(w, "written_bytes", limits->written_bytes);
        write_number(w, "inodes", limits->inodes);
        write_number(w, "open_files", limits->open_files);
        write_close(w);
}

/* Null where the kernel does not say. */
static void write_peak(Writer *w, const char *name, uint64_t value)
{
        if (value > 0)
                write_number(w, name, value);
        else
                write_member(w, name, NULL);
}

static void write_usage(Writer *w, const SandboxUsage *usage)
{
        write_open(w, "usage");
        write_number(w, "wall_milliseconds", usage->wall_usec / USEC_PER_MSEC);
        write_number(w, "cpu_milliseconds", usage->cpu_usec / USEC_PER_MSEC);
        write_peak(w, "memory_peak_bytes", usage->memory_peak_bytes);
        write_peak(w, "processes_peak", usage->processes_peak);
        write_number(w, "written_bytes", usage->written_bytes);
        write_number(w, "written_inodes", usage->written_inodes);
        write_number(w, "stdout_bytes", usage->stdout_bytes);
        write_number(w, "stderr_bytes", usage->stderr_bytes);
        write_close(w);
}

static bool guest_ran(const RunRecord *record)
{
        return record->failed_code == 0 && record->answer.code == 0;
}

static bool is_embeddable(const Buffer *json)
{
        JsonReport report;

        return json_check(json->data, json->size, SIZE_MAX, EMBEDDED_DEPTH_MAX, &report) == 0;
}

static void write_mapping(Writer *w, const RunRecord *record)
{
        const ResultRecord *mapping = &record->results[1];

        if (!contracts[record->job->channel].names[1])
                return;
        write_name(w, "mapping");
        if (mapping->state == RESULT_OK && is_embeddable(&mapping->data))
                write_bytes(w, mapping->data.data, mapping->data.size);
        else
                write_text(w, "null");
}

static void write_context(Writer *w, const RunRecord *record, bool is_late)
{
        write_open(w, NULL);
        write_member(w, "job", record->job->job);
        write_member(w, "worker", record->worker);
        write_member(w, "container_version", record->job->version);
        if (record->digest)
                write_member(w, "digest", record->digest);
        write_limits(w, &record->job->limits);
        if (record->arguments)
                write_invocation(w, record);
        if (guest_ran(record)) {
                write_usage(w, &record->answer.usage);
                write_bool(w, "limits_enforced", record->answer.limits_enforced);
                if (record->job->late_success)
                        write_bool(w, "late_success", is_late);
                write_member(w, "scope", record->answer.scope);
                write_mapping(w, record);
        }
        write_close(w);
}

/* The verdict. */

/* What is wrong with the content, as a new string in *ret. The second file is embedded, the first is not. */
static int judge_content(const char *name, size_t i, const Buffer *data, bool is_json, char **ret)
{
        unsigned depth_max = i == 0 ? JSON_CHECK_DEPTH_MAX : EMBEDDED_DEPTH_MAX;
        JsonReport report;
        int r;

        if (!is_json)
                return 0;
        r = json_check(data->data, data->size, SIZE_MAX, depth_max, &report);
        if (r == 0 && report.kind == JSON_KIND_OBJECT)
                return 0;
        *ret = r == 0 ? string_format("%s is no JSON object", name)
                      : string_format("%s is not JSON: %s at byte %zu", name, report.reason, report.offset);
        return *ret ? 0 : -ENOMEM;
}

/* What is wrong with a result file, as a new string in *ret, which stays NULL where it is good, or where it
 * is missing and is not `needed`. */
static int judge_result(const RunRecord *record, size_t i, bool is_json, bool needed, char **ret)
{
        const char *name = contracts[record->job->channel].names[i];
        const ResultRecord *result = &record->results[i];

        switch (result->state) {
        case RESULT_OK:
                return judge_content(name, i, &result->data, is_json, ret);
        case RESULT_TOO_LARGE:
                *ret = string_format("%s is larger than %" PRIu64 " bytes", name,
                                     record->job->limits.result_bytes);
                break;
        case RESULT_NOT_REGULAR:
                *ret = string_format("%s is not a regular file with one name", name);
                break;
        case RESULT_MISSING:
                if (!needed)
                        return 0;
                *ret = string_format("%s is missing", name);
                break;
        default:
                *ret = string_format("%s cannot be read", name);
        }
        return *ret ? 0 : -ENOMEM;
}

/* The response, or *ret_wrong. */
static int make_response(const RunRecord *record, Buffer *response, char **ret_wrong)
{
        const ResultContract *contract = &contracts[record->job->channel];
        const Buffer *data = &record->results[0].data;
        int r;

        r = judge_result(record, 0, contract->is_json, true, ret_wrong);
        if (r == 0 && !*ret_wrong && contract->names[1])
                r = judge_result(record, 1, true, false, ret_wrong);
        if (r < 0 || *ret_wrong)
                return r;
        r = contract->is_parsed ? buffer_append(response, data->data, data->size, PEER_PART_SIZE_MAX)
                                : json_escape_append(response, data->data, data->size, PEER_PART_SIZE_MAX);
        if (r != -ENOBUFS)
                return r;
        response->size = 0;
        *ret_wrong = string_format("%s is too large for a reply", contract->names[0]);
        return *ret_wrong ? 0 : -ENOMEM;
}

/* What each cause means; `exited` has code of its own. */
static const struct {
        const char *cause;
        StatusCode code;
        const char *unit; /* of the limit, NULL: no limit to tell of */
        const char *text;
} causes[] = {
        { "wall_time", STATUS_TIMED_OUT, " ms", "it ran longer than it may" },
        { "output", STATUS_EXCESSIVE_OUTPUT, " bytes", "it wrote more to a stream than it may" },
        { "written", STATUS_EXCESSIVE_OUTPUT, "", "it wrote more files, or more into them, than it may" },
        { "memory", STATUS_TERMINATED, " bytes", "it needed more memory than it may" },
        { "processes", STATUS_TERMINATED, "", "it started more processes than it may" },
        { "cancelled", STATUS_TERMINATED, NULL, "it was cancelled" },
};

/* Microseconds of a limit of time are milliseconds to clients. */
static uint64_t limit_shown(const SandboxAnswer *answer, uint64_t value)
{
        return streq(answer->limit_name, "wall_time") ? value / USEC_PER_MSEC : value;
}

static char *cause_text(const SandboxAnswer *answer, size_t i)
{
        if (!answer->limit_name || !causes[i].unit)
                return strdup(causes[i].text);
        return string_format("%s: %" PRIu64 "%s", causes[i].text, limit_shown(answer, answer->limit_value),
                             causes[i].unit);
}

static StatusCode judge_cause(const SandboxAnswer *answer, char **ret_error)
{
        const char *cause = answer->cause ?: "";

        for (size_t i = 0; i < ARRAY_SIZE(causes); i++)
                if (streq(cause, causes[i].cause)) {
                        *ret_error = cause_text(answer, i);
                        return causes[i].code;
                }
        if (streq(cause, "signaled")) {
                *ret_error = string_format("it was ended by signal %" PRIu64 " (%s)", answer->signal,
                                           strsignal((int) answer->signal) ?: "unknown");
                return STATUS_TERMINATED;
        }
        *ret_error = string_format("the sandbox did not say how it ended");
        return STATUS_WORKER_ERROR;
}

static void write_error_detail(Writer *w, const SandboxAnswer *answer, const Buffer *result)
{
        write_open(w, NULL);
        if (answer->limit_name) {
                write_member(w, "limit", answer->limit_name);
                write_number(w, "value", limit_shown(answer, answer->limit_value));
                write_number(w, "used", limit_shown(answer, answer->limit_used));
        }
        if (result && result->size > 0 && is_embeddable(result)) {
                write_name(w, "result");
                write_bytes(w, result->data, result->size);
        }
        write_close(w);
}

/* The guest came to its own end: its exit status, then its result, decide. */
static int judge_exit(const RunRecord *record, OutcomeText *text)
{
        _cleanup_(buffer_done) Buffer result = {};
        _cleanup_free_ char *wrong = NULL;
        Writer detail = { .buffer = &text->parts[OUTCOME_ERROR_DETAIL] };
        int r = make_response(record, &result, &wrong);

        if (r < 0)
                return r;
        if (record->answer.status == 0 && !wrong) {
                text->outcome.status_code = STATUS_OK;
                text->parts[OUTCOME_RESPONSE] = result;
                result = (Buffer){};
                return 0;
        }
        if (record->answer.status != 0) {
                text->outcome.status_code = STATUS_ANALYZER_FAILED;
                text->outcome.error = string_format("its exit status is %" PRIu64, record->answer.status);
        } else {
                text->outcome.status_code = STATUS_BAD_RESULT;
                text->outcome.error = TAKE_PTR(wrong);
        }
        write_error_detail(&detail, &record->answer, wrong ? NULL : &result);
        return text->outcome.error ? detail.error : -ENOMEM;
}

static bool is_cause(const RunRecord *record, const char *cause)
{
        return guest_ran(record) && record->answer.cause && streq(record->answer.cause, cause);
}

/* It was still running when its time was over, but its result was complete: a result, where the track says
 * so. 1 where it is none. */
static int judge_late(const RunRecord *record, OutcomeText *text)
{
        _cleanup_(buffer_done) Buffer result = {};
        _cleanup_free_ char *wrong = NULL;
        int r;

        if (!record->job->late_success || record->results[0].data.size == 0)
                return 1;
        r = make_response(record, &result, &wrong);
        if (r < 0 || wrong)
                return r < 0 ? r : 1;
        text->outcome.status_code = STATUS_OK;
        text->parts[OUTCOME_RESPONSE] = result;
        result = (Buffer){};
        return 0;
}

static int judge(const RunRecord *record, OutcomeText *text)
{
        const SandboxAnswer *answer = &record->answer;
        Writer detail = { .buffer = &text->parts[OUTCOME_ERROR_DETAIL] };

        if (is_cause(record, "exited"))
                return judge_exit(record, text);
        if (is_cause(record, "wall_time")) {
                int r = judge_late(record, text);

                if (r <= 0)
                        return r;
        }
        if (record->failed_code > 0) {
                text->outcome.status_code = record->failed_code;
                text->outcome.error = strdup(record->failed_error ?: "unknown");
        } else if (answer->code == STATUS_BAD_INPUT) { /* of the worker's order, which no client wrote */
                text->outcome.status_code = STATUS_WORKER_ERROR;
                text->outcome.error =
                        strdup("the sandbox service here refuses the job's limits or profile; its "
                               "journal says why");
        } else if (answer->code > 0) {
                text->outcome.status_code = answer->code;
                text->outcome.error = strdup(answer->error ?: "the sandbox did not say why");
        } else
                text->outcome.status_code = judge_cause(answer, &text->outcome.error);
        write_error_detail(&detail, answer, NULL);
        return text->outcome.error ? detail.error : -ENOMEM;
}

static int build(const RunRecord *record, OutcomeText *ret)
{
        _cleanup_(outcome_text_done) OutcomeText text = {};
        Writer context = { .buffer = &text.parts[OUTCOME_CONTEXT] };
        int r;

        text.outcome.job = strdup(record->job->job);
        text.outcome.token = strdup(record->job->token);
        text.outcome.resend_key = record->job->resend_key ? strdup(record->job->resend_key) : NULL;
        text.outcome.cpu_usec = guest_ran(record) ? record->answer.usage.cpu_usec : 0;
        if (!text.outcome.job || !text.outcome.token ||
            (record->job->resend_key && !text.outcome.resend_key))
                return -ENOMEM;
        r = judge(record, &text);
        if (r < 0)
                return r;
        write_context(&context, record,
                      text.outcome.status_code == STATUS_OK && is_cause(record, "wall_time"));
        if (context.error != 0)
                return context.error;
        *ret = text;
        text = (OutcomeText){};
        return 0;
}

/* Results can be too large for an answer together with the rest: without them it always fits. */
int outcome_build(const RunRecord *record, OutcomeText *ret)
{
        RunRecord small = *record;
        int r = build(record, ret);

        if (r != -ENOBUFS)
                return r;
        for (size_t i = 0; i < RESULTS_MAX; i++)
                small.results[i] = (ResultRecord){ .state = RESULT_TOO_LARGE };
        return build(&small, ret);
}

void outcome_text_done(OutcomeText *text)
{
        outcome_done(&text->outcome);
        for (size_t i = 0; i < ARRAY_SIZE(text->parts); i++)
                buffer_done(&text->parts[i]);
}

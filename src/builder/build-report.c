/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines of JSON, one a message: {"progress": …} or, once and last, {"code": …}. */

#include "build-work.h"

#include "basic/io-util.h"
#include "basic/string-util.h"
#include "shared/log.h"
#include "shared/message-ids.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define TEXT_MAX         400U
#define JOURNAL_LINE_MAX 1000U

static int send_line(const Work *work, json_object *object)
{
        _cleanup_json_ json_object *owned = object;
        const char *text = object ? json_object_text(object) : NULL;
        _cleanup_free_ char *line = text ? string_format("%s\n", text) : NULL;

        return line ? write_all(work->report_fd, line, strlen(line)) : -ENOMEM;
}

int build_say_step(Work *work, uint64_t step, uint64_t n_steps, const char *text)
{
        _cleanup_json_ json_object *object = json_object_new_object();
        _cleanup_free_ char *safe = string_escape(text, strlen(text), TEXT_MAX / 4);
        json_object *progress = json_object_new_object();

        if (!safe || !object || !progress || json_add(object, "progress", progress) < 0 ||
            json_add_uint(progress, "step", step) < 0 || json_add_uint(progress, "steps", n_steps) < 0 ||
            json_add_text(progress, "text", safe) < 0)
                return -ENOMEM;
        return send_line(work, TAKE_PTR(object));
}

int build_say(Work *work, const char *step, const char *format, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list arguments;

        work->step = step;
        va_start(arguments, format);
        if (vasprintf(&text, format, arguments) < 0)
                text = NULL;
        va_end(arguments);
        if (!text)
                return -ENOMEM;
        log_struct(LOG_DEBUG, LOG_FIELDS({ "PIPELINE_JOB", work->job->job }), "Build: %s", text);
        return build_say_step(work, 0, 0, text);
}

/* Each line is a record of its own. */
static void log_lines(const Work *work, const char *data, size_t size)
{
        for (const char *end = data + size; data < end;) {
                const char *newline = memchr(data, '\n', (size_t) (end - data));
                size_t n = (size_t) ((newline ?: end) - data);
                _cleanup_free_ char *line = n > 0 ? string_escape(data, n, JOURNAL_LINE_MAX) : NULL;

                if (line)
                        log_struct(LOG_INFO,
                                   LOG_FIELDS({ "PIPELINE_JOB", work->job->job },
                                              { "PIPELINE_TRACK", work->job->track }),
                                   "%s", line);
                data = newline ? newline + 1 : end;
        }
}

int build_log(Work *work, const char *data, size_t size)
{
        log_lines(work, data, size);
        if (size > LOG_TAIL_MAX) {
                data += size - LOG_TAIL_MAX;
                size = LOG_TAIL_MAX;
        }
        if (work->log.size + size > LOG_TAIL_MAX)
                buffer_consume(&work->log, work->log.size + size - LOG_TAIL_MAX);
        return buffer_append(&work->log, data, size, LOG_TAIL_MAX);
}

/* As a text that JSON can hold. */
static int add_log(const Work *work, json_object *object)
{
        const char *data = (const char *) work->log.data;
        _cleanup_(buffer_done) Buffer text = {};
        int r = 0;

        for (size_t at = 0; r == 0 && at < work->log.size;) {
                const char *newline = memchr(data + at, '\n', work->log.size - at);
                size_t n = newline ? (size_t) (newline - data) - at : work->log.size - at;
                _cleanup_free_ char *line = string_escape(data + at, n, n);

                r = line ? buffer_append(&text, line, strlen(line), SIZE_MAX) : -ENOMEM;
                if (r == 0 && newline)
                        r = buffer_append(&text, "\n", 1, SIZE_MAX);
                at += n + 1;
        }
        if (r == 0)
                r = buffer_append(&text, "", 1, SIZE_MAX);
        return r == 0 ? json_add_text(object, "log", (const char *) text.data) : r;
}

static usec_t duration(const Work *work)
{
        return (now_usec(CLOCK_MONOTONIC) - work->started_usec) / USEC_PER_MSEC;
}

int build_end(Work *work, StatusCode code, json_object *detail, const char *format, ...)
{
        _cleanup_json_ json_object *object = json_object_new_object();
        json_object *told = detail ?: json_object_new_object();
        _cleanup_free_ char *error = NULL, *safe = NULL;
        va_list arguments;

        assert(!work->is_over);
        work->is_over = true;
        va_start(arguments, format);
        if (vasprintf(&error, format, arguments) < 0)
                error = NULL;
        va_end(arguments);
        safe = error ? string_escape(error, strlen(error), 4096) : NULL;
        if (!safe || !object || !told || json_add(object, "error_detail", told) < 0 ||
            json_add_uint(object, "code", code) < 0 || json_add_text(object, "error", safe) < 0 ||
            json_add_text(told, "step", work->step) < 0 || add_log(work, told) < 0 ||
            (work->commit[0] && json_add_text(told, "commit", work->commit) < 0))
                return -ENOMEM;
        return send_line(work, TAKE_PTR(object)) ?: BUILD_ENDS;
}

static json_object *tags_to_json(char *const *tags)
{
        _cleanup_json_ json_object *list = json_object_new_array();

        for (; list && tags && *tags; tags++)
                if (json_object_array_add(list, json_object_new_string(*tags)) < 0)
                        return NULL;
        return TAKE_PTR(list);
}

int build_succeed(Work *work, const char *status)
{
        _cleanup_json_ json_object *object = json_object_new_object();
        _cleanup_free_ char *version = string_format("git-%s", work->commit);
        _cleanup_free_ char *image = string_format("%s/%s:%s", channel_to_string(work->job->target),
                                                   work->job->track, version ?: "");
        json_object *response = json_object_new_object();

        work->is_over = true;
        if (!version || !image || !object || !response || json_add(object, "response", response) < 0 ||
            json_add_uint(object, "code", STATUS_OK) < 0 || json_add_text(response, "status", status) < 0 ||
            json_add_text(response, "image", image) < 0 || json_add_text(response, "version", version) < 0 ||
            json_add_text(response, "commit", work->commit) < 0 ||
            json_add_text(response, "digest", work->digest) < 0 ||
            json_add(response, "tags", tags_to_json(work->tags)) < 0 ||
            json_add_uint(response, "duration_milliseconds", duration(work)) < 0 ||
            json_add_uint(response, "size_bytes", work->size) < 0 || add_log(work, response) < 0)
                return -ENOMEM;
        log_struct(LOG_INFO,
                   LOG_FIELDS({ "MESSAGE_ID", MSG_BUILT }, { "PIPELINE_JOB", work->job->job },
                              { "PIPELINE_TRACK", work->job->track }, { "PIPELINE_VERSION", version },
                              { "PIPELINE_DIGEST", work->digest }),
                   "%s is %s (%s)", image, status, work->digest);
        return send_line(work, TAKE_PTR(object));
}

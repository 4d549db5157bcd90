/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records are written with sd_journal_sendv(), so that values may hold any byte without forging a field.
 * Where standard error is not the journal (JOURNAL_STREAM does not name it), one line goes there instead. */

#include "log.h"

#include "basic/string-util.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#define N_FIELDS_MAX 24U

static struct {
        const char *identifier;
        int max_level;
        bool to_journal;
} log_state = { .identifier = "pipeline", .max_level = LOG_INFO };

void log_set_max_level(int level)
{
        log_state.max_level = level;
}

static bool stderr_is_journal(void)
{
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat st;

        if (!stream || sscanf(stream, "%llu:%llu", &device, &inode) != 2 || fstat(STDERR_FILENO, &st) < 0)
                return false;
        return st.st_dev == device && st.st_ino == inode;
}

void log_open(const char *identifier)
{
        static const char *const names[] = { "emerg",   "alert",  "crit", "err",
                                             "warning", "notice", "info", "debug" };
        const char *wanted = getenv("PIPELINE_LOG_LEVEL");

        log_state.identifier = identifier;
        log_state.to_journal = stderr_is_journal();
        for (int level = 0; wanted && level < (int) ARRAY_SIZE(names); level++)
                if (streq(wanted, names[level]))
                        log_state.max_level = level;
}

static void send_to_journal(int level, const LogField *fields, size_t n_fields, const char *message)
{
        _cleanup_(strv_freep) char **lines = NULL;
        struct iovec iov[N_FIELDS_MAX];
        size_t n = 0;

        lines = calloc(N_FIELDS_MAX + 1, sizeof(char *));
        if (!lines)
                return;
        lines[n++] = string_format("MESSAGE=%s", message);
        lines[n++] = string_format("PRIORITY=%d", level);
        lines[n++] = string_format("SYSLOG_IDENTIFIER=%s", log_state.identifier);
        for (size_t i = 0; i < n_fields && n < N_FIELDS_MAX; i++)
                if (fields[i].value)
                        lines[n++] = string_format("%s=%s", fields[i].name, fields[i].value);
        for (size_t i = 0; i < n; i++) {
                if (!lines[i])
                        return;
                iov[i] = (struct iovec){ .iov_base = lines[i], .iov_len = strlen(lines[i]) };
        }
        (void) sd_journal_sendv(iov, (int) n);
}

void log_send(int level, const LogField *fields, size_t n_fields, const char *format, ...)
{
        _cleanup_free_ char *message = NULL;
        int saved = errno;
        va_list arguments;

        if (level > log_state.max_level)
                return;
        va_start(arguments, format);
        if (vasprintf(&message, format, arguments) < 0)
                message = NULL;
        va_end(arguments);
        if (message && log_state.to_journal)
                send_to_journal(level, fields, n_fields, message);
        else if (message)
                (void) dprintf(STDERR_FILENO, "%s: %s\n", log_state.identifier, message);
        errno = saved;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Logging to the journal with structured fields; to standard error where that is not the journal (a daemon
 * started by hand). Called by the daemons only, once for each thing that happened. Never a secret, never a
 * payload: what a peer wrote goes through string_escape() first. */

#include "basic/macro.h"

#include <string.h>
#include <syslog.h>

/* At most this severity is logged (LOG_INFO unless set; PIPELINE_LOG_LEVEL=debug lowers it). */
void log_set_max_level(int level);
/* Reads PIPELINE_LOG_LEVEL, finds out whether standard error is the journal's. `identifier` is borrowed. */
void log_open(const char *identifier);

/* One journal field; `value` may be NULL: then it is left out. */
typedef struct LogField {
        const char *name, *value;
} LogField;

void log_send(int level, const LogField *fields, size_t n_fields, const char *format, ...) _printf_(4, 5);

#define log_full(level, ...) log_send((level), NULL, 0, __VA_ARGS__)
#define log_debug(...)       log_full(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)        log_full(LOG_INFO, __VA_ARGS__)
#define log_notice(...)      log_full(LOG_NOTICE, __VA_ARGS__)
#define log_warning(...)     log_full(LOG_WARNING, __VA_ARGS__)
#define log_error(...)       log_full(LOG_ERR, __VA_ARGS__)

/* With fields: log_struct(LOG_INFO, LOG_FIELDS({ "PIPELINE_JOB", id }, { "MESSAGE_ID", MSG_JOB_ENDED }),
 * "…"). */
#define LOG_FIELDS(...)              ((const LogField[]){ __VA_ARGS__ })
#define log_struct(level, list, ...) log_send((level), list, ARRAY_SIZE(list), __VA_ARGS__)

/* Logs, with the error's text behind a colon, and returns the error, so that a caller can write
 * `return log_errno(r, "Cannot read %s", path);` */
#define log_errno(error, format, ...)                                                          \
        __extension__({                                                                        \
                int log_e = (error);                                                           \
                log_error(format ": %s", ##__VA_ARGS__, strerror(log_e < 0 ? -log_e : log_e)); \
                log_e;                                                                         \
        })

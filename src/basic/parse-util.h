/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Text to values. All refuse what is not wholly the value: -EINVAL for the form, -ERANGE for the range. */

#include "macro.h"
#include "time-util.h"

/* A decimal number without sign in [min, max]. */
int parse_uint64(const char *s, uint64_t min, uint64_t max, uint64_t *ret) _warn_unused_;
/* yes, true, on, 1 / no, false, off, 0. */
int parse_bool(const char *s, bool *ret) _warn_unused_;
/* Bytes: a decimal number, with K, M, G or T (powers of 1024) behind it where wanted. */
int parse_size(const char *s, uint64_t *ret) _warn_unused_;
/* A time span: a decimal number (a fraction is allowed) and ms, s, min, h or d; without a unit seconds. At
 * most TIME_SPAN_MAX: added to a clock it does not wrap around. */
#define TIME_SPAN_MAX (UINT64_C(1000) * 365 * 86400 * USEC_PER_SEC)
int parse_time_span(const char *s, usec_t *ret_usec) _warn_unused_;

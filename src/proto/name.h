/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The identifiers of docs/PROTOCOL.md: each has one form, checked before it gets near a path, a unit's name
 * or a log. */

#include "basic/macro.h"

/* Of a track or an exercise: a letter or digit, then those, '-' and '_'; at most 64 in all. */
bool slug_is_valid(const char *s);
/* The same with '.'; at most 128. */
bool version_is_valid(const char *s);
/* sha256: and 64 hexadecimal digits, lower case. */
bool digest_is_valid(const char *s);
/* 1 to 128 printable ASCII characters without blank. */
bool request_id_is_valid(const char *s);
/* What git calls a reference or a revision, by its plain name: a branch, a tag, a commit; 255 bytes. */
bool git_reference_is_valid(const char *s);
/* 32, 16 and 64 hexadecimal digits, lower case. */
bool job_id_is_valid(const char *s);
bool token_is_valid(const char *s);
bool resend_key_is_valid(const char *s);

typedef enum Channel {
        CHANNEL_TEST_RUNNERS,
        CHANNEL_STATIC_ANALYZERS,
        CHANNEL_REPRESENTERS,
        CHANNEL_BUILDERS,
        _CHANNEL_MAX,
        _CHANNEL_INVALID = -1,
} Channel;

/* `test_runners` and its like. */
const char *channel_to_string(Channel channel);
/* Takes the other names people know too (`test-runner`, `recommender`, …).
 * _CHANNEL_INVALID where unknown. */
Channel channel_from_string(const char *s) _warn_unused_;

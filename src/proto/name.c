/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The identifiers of docs/PROTOCOL.md. ASCII by hand: isalnum() asks the locale. */

#include "name.h"

#include "basic/digest.h"
#include "basic/string-util.h"

#define SLUG_LENGTH_MAX          64U
#define VERSION_LENGTH_MAX       128U
#define REQUEST_ID_LENGTH_MAX    128U
#define GIT_REFERENCE_LENGTH_MAX 255U

static bool is_alphanumeric(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_name(const char *s, const char *also, size_t length_max)
{
        size_t n = 0;

        if (!is_alphanumeric(s[0]))
                return false;
        while (s[n] != '\0' && n <= length_max && (is_alphanumeric(s[n]) || strchr(also, s[n])))
                n++;
        return s[n] == '\0' && n <= length_max;
}

static bool is_hex(const char *s, size_t length)
{
        return strlen(s) == length && strspn(s, "0123456789abcdef") == length;
}

bool slug_is_valid(const char *s)
{
        return is_name(s, "-_", SLUG_LENGTH_MAX);
}

bool version_is_valid(const char *s)
{
        return is_name(s, "-_.", VERSION_LENGTH_MAX);
}

bool digest_is_valid(const char *s)
{
        return digest_hex(s) != NULL;
}

bool request_id_is_valid(const char *s)
{
        size_t n = 0;

        while (s[n] > ' ' && s[n] <= '~' && n <= REQUEST_ID_LENGTH_MAX)
                n++;
        return n > 0 && n <= REQUEST_ID_LENGTH_MAX && s[n] == '\0';
}

/* As git-check-ref-format(1) has it, and nothing of gitrevisions(7): so it names one thing and no path. */
bool git_reference_is_valid(const char *s)
{
        static const char *const never[] = { "..", "//", "@{", "/.", ".lock/" };
        size_t n = 0;

        while (s[n] > ' ' && s[n] <= '~' && !strchr("~^:?*[\\", s[n]) && n <= GIT_REFERENCE_LENGTH_MAX)
                n++;
        for (size_t i = 0; i < ARRAY_SIZE(never); i++)
                if (strstr(s, never[i]))
                        return false;
        return n > 0 && n <= GIT_REFERENCE_LENGTH_MAX && s[n] == '\0' && !strchr("-/.@", s[0]) &&
               !strchr("/.", s[n - 1]) && !string_ends_with(s, ".lock");
}

bool job_id_is_valid(const char *s)
{
        return is_hex(s, 32);
}

bool token_is_valid(const char *s)
{
        return is_hex(s, 16);
}

bool resend_key_is_valid(const char *s)
{
        return is_hex(s, 64);
}

static const char *const channel_names[_CHANNEL_MAX] = {
        [CHANNEL_TEST_RUNNERS] = "test_runners",
        [CHANNEL_STATIC_ANALYZERS] = "static_analyzers",
        [CHANNEL_REPRESENTERS] = "representers",
        [CHANNEL_BUILDERS] = "builders",
};

const char *channel_to_string(Channel channel)
{
        return channel_names[channel];
}

Channel channel_from_string(const char *s)
{
        static const struct {
                const char *name;
                Channel channel;
        } others[] = {
                { "test-runner", CHANNEL_TEST_RUNNERS },
                { "static-analyser", CHANNEL_STATIC_ANALYZERS },
                { "static-analyzer", CHANNEL_STATIC_ANALYZERS },
                { "representer", CHANNEL_REPRESENTERS },
                { "recommender", CHANNEL_REPRESENTERS },
                { "builder", CHANNEL_BUILDERS },
        };

        for (size_t i = 0; i < _CHANNEL_MAX; i++)
                if (streq(s, channel_names[i]))
                        return (Channel) i;
        for (size_t i = 0; i < ARRAY_SIZE(others); i++)
                if (streq(s, others[i].name))
                        return others[i].channel;
        return _CHANNEL_INVALID;
}

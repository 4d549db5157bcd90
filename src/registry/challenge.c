/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A realm is an address that will be shown the password, and it is whoever answers as the registry that
 * names it: so it counts only where it is the registry's own host, or one that the administrator said may
 * ask, and over TLS where the registry itself is. */

#include "challenge.h"

#include "basic/string-util.h"

#include <ctype.h>
#include <errno.h>

#define VALUE_SIZE_MAX 2048U

void challenge_done(Challenge *challenge)
{
        free(challenge->realm);
        free(challenge->service);
        *challenge = (Challenge){};
}

static const char *skip_blanks(const char *s)
{
        return s + strspn(s, " \t,");
}

/* NAME=VALUE or NAME="VALUE"; false at the end, and where it is neither. */
static bool next_parameter(const char **s, char **ret_name, char **ret_value)
{
        const char *p = skip_blanks(*s), *name = p, *value;
        size_t n;

        p += strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
        if (p == name || *p != '=')
                return false;
        *ret_name = strndup(name, (size_t) (p - name));
        value = ++p;
        if (*p == '"') {
                value = p + 1;
                n = strcspn(value, "\"");
                p = value + n;
                if (*p != '"')
                        n = VALUE_SIZE_MAX + 1;
                else
                        p++;
        } else {
                n = strcspn(p, ", \t");
                p += n;
        }
        *ret_value = n <= VALUE_SIZE_MAX ? strndup(value, n) : NULL;
        *s = p;
        return *ret_name && *ret_value;
}

/* Printable ASCII: nothing that would end a line or an address. */
static bool is_plain_text(const char *s)
{
        for (; *s; s++)
                if (*s <= ' ' || *s > '~' || *s == '"' || *s == '\\')
                        return false;
        return true;
}

static int check_realm(const RegistrySettings *settings, const char *realm, char **ret_error)
{
        const char *secure = string_after(realm, "https://"), *plain = string_after(realm, "http://");
        const char *rest = secure ?: plain;
        _cleanup_free_ char *host = rest ? strndup(rest, strcspn(rest, "/?#")) : NULL;

        if (!rest || !is_plain_text(realm) || strpbrk(realm, "@#"))
                return error_set(ret_error, CHALLENGE_BAD,
                                 "the registry %s wants a token of what is no address", settings->host);
        if (!host)
                return -ENOMEM;
        if (!strcasecmp(host, settings->host)
                    ? plain && !settings->is_plain
                    : plain != NULL || !strv_contains(settings->token_hosts, host)) {
                _cleanup_free_ char *shown = string_escape(realm, strlen(realm), 100);

                return error_set(ret_error, CHALLENGE_BAD,
                                 "the registry %s sends the password on to %s, which is not shown it "
                                 "(REGISTRY_TOKEN_HOSTS= says who is)",
                                 settings->host, shown ?: "elsewhere");
        }
        return 0;
}

static int take_parameters(const char *text, Challenge *challenge)
{
        for (;;) {
                _cleanup_free_ char *name = NULL, *value = NULL;
                char **place;

                if (!next_parameter(&text, &name, &value))
                        return 0;
                place = !strcasecmp(name, "realm")     ? &challenge->realm
                        : !strcasecmp(name, "service") ? &challenge->service
                                                       : NULL;
                if (place && !*place)
                        *place = TAKE_PTR(value);
        }
}

int challenge_parse(const RegistrySettings *settings, const char *header, Challenge *ret, char **ret_error)
{
        _cleanup_(challenge_done) Challenge challenge = {};
        size_t n = strcspn(header ?: "", " \t");
        int r;

        if (header && n == strlen("Basic") && strncasecmp(header, "Basic", n) == 0) {
                *ret = (Challenge){};
                return 0;
        }
        if (!header || n != strlen("Bearer") || strncasecmp(header, "Bearer", n) != 0)
                return error_set(ret_error, CHALLENGE_BAD,
                                 "the registry %s wants to be told who asks in a way that is not known here",
                                 settings->host);
        challenge.is_token = true;
        r = take_parameters(header + n, &challenge);
        if (r < 0)
                return r;
        if (!challenge.realm)
                return error_set(ret_error, CHALLENGE_BAD,
                                 "the registry %s wants a token, and does not say of whom", settings->host);
        r = check_realm(settings, challenge.realm, ret_error);
        if (r != 0)
                return r;
        *ret = challenge;
        challenge = (Challenge){};
        return 0;
}

static char *encode(const char *text)
{
        _cleanup_free_ char *encoded = calloc(3, strlen(text) + 1);
        char *end = encoded;

        for (; encoded && *text; text++) {
                if (isalnum((unsigned char) *text) || strchr("-._~", *text))
                        *end++ = *text;
                else {
                        *end++ = '%';
                        *end++ = "0123456789ABCDEF"[(unsigned char) *text >> 4];
                        *end++ = "0123456789ABCDEF"[(unsigned char) *text & 15];
                }
        }
        return TAKE_PTR(encoded);
}

char *challenge_token_url(const Challenge *challenge, const char *repository, const char *actions)
{
        _cleanup_free_ char *service = encode(challenge->service ?: ""), *name = encode(repository),
                            *rights = encode(actions);

        if (!service || !name || !rights)
                return NULL;
        return string_format("%s%cservice=%s&scope=repository%%3A%s%%3A%s", challenge->realm,
                             strchr(challenge->realm, '?') ? '&' : '?', service, name, rights);
}

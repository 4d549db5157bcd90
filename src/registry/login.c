/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* User and password lie in a file as `skopeo login --authfile` and its like write it, which the unit hands
 * over as a credential. It is read for each question: a new password counts from the next one on. Where
 * there is none, a registry of Amazon's is asked for one. */

#include "login.h"

#include "basic/io-util.h"
#include "basic/string-util.h"
#include "proto/json-fields.h"
#include "shared/ecr.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>

#define FILE_SIZE_MAX  (256U * 1024U)
#define LOGIN_SIZE_MAX 8192U

static bool is_base64(const char *text)
{
        size_t length = strlen(text),
               n = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");

        return n > 0 && length <= LOGIN_SIZE_MAX && length - n <= 2 && strspn(text + n, "=") == length - n;
}

/* The member of a name: as it is, as an address, or, as docker once wrote it, the address of v1. */
static json_object *find_name(json_object *auths, const char *host)
{
        static const char *const forms[] = { "%s", "https://%s", "http://%s", "https://%s/v1/" };
        json_object *found = NULL;

        for (size_t i = 0; i < ARRAY_SIZE(forms) && !found; i++) {
                const char *mark = strstr(forms[i], "%s");
                _cleanup_free_ char *name =
                        string_format("%.*s%s%s", (int) (mark - forms[i]), forms[i], host, mark + 2);

                if (name)
                        found = json_object_object_get(auths, name);
        }
        return found;
}

/* Docker Hub's host is not what people call it. */
static json_object *find_host(json_object *auths, const char *host)
{
        static const char *const hub[] = { "registry-1.docker.io", "docker.io", "index.docker.io" };
        json_object *found = find_name(auths, host);

        for (size_t i = 1; i < ARRAY_SIZE(hub) && !found && streq(host, hub[0]); i++)
                found = find_name(auths, hub[i]);
        return found;
}

int login_from_auth_file(const char *text, size_t size, const char *host, char **ret, char **ret_error)
{
        _cleanup_json_ json_object *file = NULL;
        _cleanup_free_ char *error = NULL;
        json_object *auths, *entry;
        const char *auth;
        int r;

        r = json_object_from_bytes(text, size, &file, &error);
        if (r < 0)
                return r;
        if (r > 0)
                return error_set(ret_error, LOGIN_FAILED,
                                 "the file with the registry's password is not JSON");
        auths = json_object_object_get(file, "auths");
        entry = json_object_is_type(auths, json_type_object) ? find_host(auths, host) : NULL;
        *ret = NULL;
        if (!entry)
                return 0;
        auth = json_object_is_type(entry, json_type_object) ? json_text(entry, "auth") : NULL;
        if (!auth || !is_base64(auth))
                return error_set(ret_error, LOGIN_FAILED,
                                 "the file with the registry's password has for %s no `auth` with "
                                 "USER:PASSWORD in base64",
                                 host);
        *ret = string_format("Basic %s", auth);
        return *ret ? 0 : -ENOMEM;
}

static int from_auth_file(const RegistrySettings *settings, usec_t deadline_usec, char **ret,
                          char **ret_error)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        *ret = NULL;
        if (!settings->auth_file)
                return 0;
        r = read_file_at(AT_FDCWD, settings->auth_file, FILE_SIZE_MAX, &text, &size);
        if (r < 0 && r != -ENOMEM)
                return error_set(ret_error, LOGIN_FAILED,
                                 "the file with the registry's password cannot be read: %s", strerror(-r));
        if (r == 0)
                r = login_from_auth_file(text, size, settings->host, ret, ret_error);
        if (text)
                explicit_bzero(text, size);
        return r;
}

/* A registry of Amazon's: the password is fetched with AWS credentials, and good for some hours. */

static int from_ecr(const RegistrySettings *settings, usec_t deadline_usec, char **ret, char **ret_error)
{
        _cleanup_(ecr_registry_done) EcrRegistry registry = {};
        _cleanup_(ecr_token_done) EcrToken token = {};
        _cleanup_free_ char *pair = NULL, *encoded = NULL;
        usec_t now = now_usec(CLOCK_MONOTONIC);
        int r;

        r = ecr_registry_from_host(settings->host, &registry);
        if (r < 0)
                return r;
        r = ecr_token(&registry, deadline_usec > now ? deadline_usec - now : 1, &token, ret_error);
        if (r != 0)
                return r < 0 ? r : LOGIN_FAILED;
        pair = string_format("%s:%s", token.user, token.password);
        encoded = pair ? calloc(4, (strlen(pair) + 2) / 3 + 1) : NULL;
        if (!encoded)
                return -ENOMEM;
        (void) EVP_EncodeBlock((unsigned char *) encoded, (const unsigned char *) pair, (int) strlen(pair));
        explicit_bzero(pair, strlen(pair));
        *ret = string_format("Basic %s", encoded);
        return *ret ? 0 : -ENOMEM;
}

static bool is_ecr(const RegistrySettings *settings)
{
        _cleanup_(ecr_registry_done) EcrRegistry registry = {};

        return !settings->auth_file && ecr_registry_from_host(settings->host, &registry) > 0;
}

/* Which hosts know us how: the first that knows the host decides. */
static const struct Login {
        bool (*knows)(const RegistrySettings *settings); /* NULL: every one */
        int (*get)(const RegistrySettings *settings, usec_t deadline_usec, char **ret, char **ret_error);
} LOGINS[] = {
        { is_ecr, from_ecr },
        { NULL, from_auth_file },
};

int login_get(const RegistrySettings *settings, usec_t deadline_usec, char **ret, char **ret_error)
{
        for (size_t i = 0; i < ARRAY_SIZE(LOGINS); i++)
                if (!LOGINS[i].knows || LOGINS[i].knows(settings))
                        return LOGINS[i].get(settings, deadline_usec, ret, ret_error);
        *ret = NULL;
        return 0;
}

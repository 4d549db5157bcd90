/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An address that an answer names is taken apart and put together again behind the registry's own: it may
 * choose a path there, and nothing else. */

#include "distribution-answer.h"

#include "distribution.h"

#include "basic/digest.h"
#include "basic/string-util.h"
#include "proto/json-fields.h"
#include "proto/name.h"

#include <errno.h>

/* Printable ASCII. */
static bool is_printable(const char *s, size_t size)
{
        for (size_t i = 0; i < size; i++)
                if (s[i] <= ' ' || s[i] > '~')
                        return false;
        return true;
}

int answer_token(const WebResponse *response, const char *host, char **ret, char **ret_error)
{
        _cleanup_json_ json_object *body = NULL;
        _cleanup_free_ char *error = NULL;
        const char *token = NULL;
        int r = json_object_from_bytes(response->body.data, response->body.size, &body, &error);

        if (r < 0)
                return r;
        if (r == 0)
                token = json_text(body, "token") ?: json_text(body, "access_token");
        if (!token || *token == '\0' || strlen(token) > ANSWER_TOKEN_SIZE_MAX)
                return error_set(ret_error, ASK_UNAVAILABLE,
                                 "the registry %s gives no token where it says it would", host);
        if (!is_printable(token, strlen(token)))
                return error_set(ret_error, ASK_UNAVAILABLE, "the registry %s gives a token that is none",
                                 host);
        *ret = string_format("Bearer %s", token);
        return *ret ? 0 : -ENOMEM;
}

int answer_check_type(const WebResponse *response, const char *host, char **ret_error)
{
        _cleanup_json_ json_object *object = NULL;
        _cleanup_free_ char *error = NULL;
        const char *own, *header = response->content_type ?: "";
        int r;

        r = json_object_from_bytes(response->body.data, response->body.size, &object, &error);
        if (r < 0)
                return r;
        if (r > 0)
                return error_set(ret_error, ASK_BAD_IMAGE,
                                 "the manifest that the registry %s sends is not JSON", host);
        own = json_text(object, "mediaType");
        if (own && (strncmp(header, own, strlen(own)) != 0 ||
                    (header[strlen(own)] != '\0' && header[strlen(own)] != ';')))
                return error_set(ret_error, ASK_BAD_IMAGE,
                                 "the registry %s calls the manifest something else than it calls itself",
                                 host);
        if (json_object_object_get_ex(object, "manifests", NULL) &&
            (json_object_object_get_ex(object, "layers", NULL) ||
             json_object_object_get_ex(object, "config", NULL)))
                return error_set(ret_error, ASK_BAD_IMAGE,
                                 "the manifest is that of an image and a list of images at once");
        return 0;
}

/* NULL where it is none that a version could have. */
static const char *tag_name(json_object *tag)
{
        const char *name = json_object_is_type(tag, json_type_string) ? json_object_get_string(tag) : NULL;

        return name && strlen(name) == (size_t) json_object_get_string_len(tag) && version_is_valid(name)
                       ? name
                       : NULL;
}

int answer_tags(const WebResponse *response, const char *host, char ***tags, char **ret_error)
{
        _cleanup_json_ json_object *body = NULL;
        _cleanup_free_ char *error = NULL;
        json_object *list;
        size_t n = strv_length(*tags);
        int r;

        r = json_object_from_bytes(response->body.data, response->body.size, &body, &error);
        if (r < 0)
                return r;
        list = r == 0 ? json_object_object_get(body, "tags") : NULL;
        if (r > 0 || (list && !json_object_is_type(list, json_type_array)))
                return error_set(ret_error, ASK_UNAVAILABLE,
                                 "the registry %s sends a list of tags that is none", host);
        for (size_t i = 0; list && i < json_object_array_length(list); i++) {
                const char *name = tag_name(json_object_array_get_idx(list, i));

                if (!name)
                        continue;
                if (n++ >= ANSWER_TAGS_MAX)
                        return error_set(ret_error, ASK_UNAVAILABLE,
                                         "the registry %s has more than %u tags in one repository", host,
                                         ANSWER_TAGS_MAX);
                r = strv_extend(tags, name);
                if (r < 0)
                        return r;
        }
        return 0;
}

int answer_next_page(const WebResponse *response, const char *base, char **ret)
{
        const char *link = response->link, *end = link ? strchr(link, '>') : NULL, *path;

        *ret = NULL;
        if (!end || *link != '<' || !strstr(end, "rel=\"next\""))
                return 0;
        path = string_after(link + 1, base) ?: link + 1;
        if (!string_after(path, "/v2/") || !is_printable(path, (size_t) (end - path)))
                return 0;
        *ret = string_format("%s%.*s", base, (int) (end - path), path);
        return *ret ? 0 : -ENOMEM;
}

/* What follows the path would be behind a '#', where nobody is sent it. */
int answer_upload_url(const WebResponse *response, const char *base, const char *digest, char **ret,
                      char **ret_error)
{
        const char *location = response->location ?: "", *path = string_after(location, base) ?: location;
        const char *hex = digest_hex(digest);

        if (*path != '/' || !is_printable(path, strlen(path)) || strchr(path, '#') || !hex)
                return error_set(ret_error, ASK_UNAVAILABLE, "the registry %s does not say where to send to",
                                 strstr(base, "://") ? strstr(base, "://") + 3 : base);
        *ret = string_format("%s%s%cdigest=sha256%%3A%s", base, path, strchr(path, '?') ? '&' : '?', hex);
        return *ret ? 0 : -ENOMEM;
}

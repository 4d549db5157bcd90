/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base-name.h"

#include "basic/digest.h"
#include "basic/string-util.h"
#include "proto/name.h"

#include <errno.h>

#define HUB_LIBRARY "library/"

static const char *const hub_names[] = { "docker.io", "index.docker.io", BASE_HUB };

void base_name_done(BaseName *name)
{
        free(name->host);
        free(name->repository);
        free(name->tag);
        free(name->digest);
        *name = (BaseName){};
}

static bool is_host(const char *part)
{
        return strchr(part, '.') || strchr(part, ':') || streq(part, "localhost");
}

/* Cuts `text` at the last `mark` behind the last slash; what stands behind it, or NULL. */
static char *cut(char *text, char mark)
{
        char *slash = strrchr(text, '/'), *at = strrchr(slash ?: text, mark);

        if (at)
                *at++ = '\0';
        return at;
}

/* Takes the host off `text`; what is left is the repository. */
static int take_host(char *text, BaseName *name)
{
        char *slash = strchr(text, '/');
        const char *path = text, *host = hub_names[0];

        if (slash) {
                *slash = '\0';
                if (is_host(text)) {
                        host = text;
                        path = slash + 1;
                } else
                        *slash = '/';
        }
        for (size_t i = 0; i < ARRAY_SIZE(hub_names); i++)
                if (streq(host, hub_names[i])) {
                        host = BASE_HUB;
                        break;
                }
        name->repository =
                string_format("%s%s", streq(host, BASE_HUB) && !strchr(path, '/') ? HUB_LIBRARY : "", path);
        name->host = strdup(host);
        return name->repository && name->host ? 0 : -ENOMEM;
}

static int copy(char **place, const char *text)
{
        *place = text ? strdup(text) : NULL;
        return text && !*place ? -ENOMEM : 0;
}

int base_name_parse(const char *text, BaseName *ret)
{
        _cleanup_(base_name_done) BaseName name = {};
        _cleanup_free_ char *rest = strdup(text);
        const char *digest, *tag;
        int r;

        if (!rest)
                return -ENOMEM;
        digest = cut(rest, '@');
        tag = cut(rest, ':') ?: "latest";
        if (!version_is_valid(tag) || (digest && !digest_is_valid(digest)) || *rest == '\0')
                return BASE_NAME_BAD;
        r = copy(&name.tag, tag);
        if (r == 0)
                r = copy(&name.digest, digest);
        if (r == 0)
                r = take_host(rest, &name);
        if (r == 0) {
                *ret = name;
                name = (BaseName){};
        }
        return r;
}

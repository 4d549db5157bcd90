/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A registry's answer, lines of its header, an empty one, its body: what it leads to is at the registry
 * itself, what it gives away is fit for a header, and its numbers have bounds. */

#include "fuzz.h"

#include "registry/distribution-answer.h"
#include "registry/distribution.h"

#include "basic/digest.h"
#include "basic/string-util.h"
#include "proto/json-fields.h"
#include "proto/name.h"

#define HOST              "r.example:5000"
#define BASE              "https://" HOST
#define HEADER_SIZE_MAX   8192U
#define RETRY_SECONDS_MAX 3600U
#define DIGEST            "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static bool is_printable(const char *s)
{
        for (; *s; s++)
                if (*s <= ' ' || *s > '~')
                        return false;
        return true;
}

/* The lines, each in memory of its own; what is left is the body. */
static void take_header(WebResponse *response, Bytes *rest)
{
        while (rest->size > 0) {
                const char *start = rest->data, *end = memchr(start, '\n', rest->size);
                size_t size = end ? (size_t) (end + 1 - start) : rest->size;
                _cleanup_free_ char *line = malloc(size);

                expect(line);
                (void) memcpy(line, start, size);
                *rest = (Bytes){ start + size, rest->size - size };
                if (size == 1)
                        return;
                web_response_take_header(response, line, size);
        }
}

static void check_header(const WebResponse *response)
{
        const char *const texts[] = { response->content_type, response->challenge, response->link,
                                      response->location };

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                expect(!texts[i] || (strlen(texts[i]) <= HEADER_SIZE_MAX && !strchr(texts[i], '\n')));
        expect(response->retry_usec <= RETRY_SECONDS_MAX * USEC_PER_SEC);
        expect(!response->body.data && response->status == 0);
}

static void check_token(const WebResponse *response)
{
        _cleanup_free_ char *authorization = NULL, *error = NULL;
        int r = answer_token(response, HOST, &authorization, &error);

        expect(r == 0 || r == ASK_UNAVAILABLE);
        expect((r != 0) == (error != NULL) && (r == 0) == (authorization != NULL));
        if (r != 0)
                return;
        expect(string_after(authorization, "Bearer ") && authorization[strlen("Bearer ")] != '\0');
        expect(strlen(authorization) <= strlen("Bearer ") + ANSWER_TOKEN_SIZE_MAX);
        expect(is_printable(authorization + strlen("Bearer ")));
}

/* One reader sees what another sees. */
static void check_type(const WebResponse *response)
{
        _cleanup_json_ json_object *object = NULL;
        _cleanup_free_ char *error = NULL, *ignored = NULL;
        const char *own;
        int r = answer_check_type(response, HOST, &error);

        expect((r == ASK_BAD_IMAGE) == (error != NULL));
        if (r != 0)
                return;
        expect(json_object_from_bytes(response->body.data, response->body.size, &object, &ignored) == 0);
        expect(!json_object_object_get_ex(object, "manifests", NULL) ||
               (!json_object_object_get_ex(object, "layers", NULL) &&
                !json_object_object_get_ex(object, "config", NULL)));
        own = json_text(object, "mediaType");
        expect(!own || *own == '\0' ||
               (response->content_type && string_after(response->content_type, own)));
}

/* Twice: pages add up. */
static void check_tags(const WebResponse *response)
{
        _cleanup_(strv_freep) char **tags = NULL;
        size_t n_before = 0;

        for (int page = 0; page < 2; page++) {
                _cleanup_free_ char *error = NULL;
                int r = answer_tags(response, HOST, &tags, &error);

                expect((r == ASK_UNAVAILABLE) == (error != NULL));
                expect(page == 0 || r != 0 || strv_length(tags) == 2 * n_before);
                n_before = strv_length(tags);
                expect(n_before <= ANSWER_TAGS_MAX);
        }
        for (char **tag = tags; tag && *tag; tag++)
                expect(version_is_valid(*tag));
}

/* What comes of it is gone to, as it stands. */
static void check_addresses(const WebResponse *response)
{
        _cleanup_free_ char *page = NULL, *upload = NULL, *error = NULL;
        int r;

        expect(answer_next_page(response, BASE, &page) == 0);
        if (page) {
                expect(string_after(page, BASE "/v2/") && is_printable(page) && !strchr(page, '>'));
                expect(strstr(response->link, page + strlen(BASE)));
        }
        r = answer_upload_url(response, BASE, DIGEST, &upload, &error);
        expect((r == ASK_UNAVAILABLE) == (error != NULL));
        if (r != 0)
                return;
        expect(string_after(upload, BASE "/") && is_printable(upload) && !strchr(upload, '#'));
        expect(string_ends_with(upload, "digest=sha256%3A"
                                        "0123456789abcdef0123456789abcdef"
                                        "0123456789abcdef0123456789abcdef"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(web_response_done) WebResponse response = {};
        Bytes rest = { data, size };

        take_header(&response, &rest);
        check_header(&response);
        expect(buffer_append(&response.body, rest.data, rest.size, SIZE_MAX) == 0);
        check_token(&response);
        check_type(&response);
        check_tags(&response);
        check_addresses(&response);
        return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each question goes through request(): it says who asks once the registry wants to know (and again when a
 * token has run out), and waits a little where the registry says that it has too much to do. */

#include "distribution.h"

#include "challenge.h"
#include "distribution-answer.h"
#include "login.h"

#include "basic/digest.h"
#include "basic/string-util.h"
#include "shared/hash.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#define MANIFEST_SIZE_MAX (4U * 1024U * 1024U)
#define TOKEN_BODY_MAX    65536U
#define TAGS_SIZE_MAX     (4U * 1024U * 1024U)
#define TAGS_PAGES_MAX    64U
#define BUSY_RETRIES      3U
#define BUSY_USEC         USEC_PER_SEC
#define BUSY_USEC_MAX     (10 * USEC_PER_SEC)
#define ACCEPT                                                   \
        "application/vnd.oci.image.manifest.v1+json, "           \
        "application/vnd.docker.distribution.manifest.v2+json, " \
        "application/vnd.oci.image.index.v1+json, "              \
        "application/vnd.docker.distribution.manifest.list.v2+json"

struct Distribution {
        DistributionOptions options;
        const char *host; /* borrowed */
        Web *web;
        char *base;       /* http[s]://HOST */
        char *repository; /* name */
        char *login;      /* Basic …; or NULL */
        char *authorization;
        bool knows_login;
};

int distribution_new(const DistributionOptions *options, Distribution **ret, char **ret_error)
{
        _cleanup_(distribution_freep) Distribution *d = calloc(1, sizeof(Distribution));
        int r;

        if (!d)
                return -ENOMEM;
        d->options = *options;
        d->host = options->settings->host;
        d->base = string_format("%s://%s", options->settings->is_plain ? "http" : "https", d->host);
        if (!d->base)
                return -ENOMEM;
        r = registry_repository(options->settings, options->channel, options->track, &d->repository,
                                ret_error);
        if (r != 0)
                return r < 0 ? r : ASK_MISSING;
        r = web_new(options->settings, now_usec(CLOCK_MONOTONIC) + options->time_usec, &d->web);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(d);
        return 0;
}

Distribution *distribution_free(Distribution *d)
{
        if (!d)
                return NULL;
        web_free(d->web);
        free(d->base);
        free(d->repository);
        free(d->login);
        free(d->authorization);
        free(d);
        return NULL;
}

/* Who asks */

static int take_token(Distribution *d, const WebResponse *response, char **ret_error)
{
        char *authorization;
        int r = answer_token(response, d->host, &authorization, ret_error);

        if (r != 0)
                return r;
        free(d->authorization);
        d->authorization = authorization;
        return 0;
}

static int get_token(Distribution *d, const Challenge *challenge, char **ret_error)
{
        _cleanup_(web_response_done) WebResponse response = {};
        _cleanup_free_ char *url =
                challenge_token_url(challenge, d->repository, d->options.pushes ? "pull,push" : "pull");
        const WebRequest request = { .url = url, .authorization = d->login, .size_max = TOKEN_BODY_MAX };
        int r;

        if (!url)
                return -ENOMEM;
        r = web_exchange(d->web, &request, &response, ret_error);
        if (r != 0)
                return r < 0 ? r : ASK_UNAVAILABLE;
        if (response.status != 200)
                return error_set(ret_error, ASK_UNAVAILABLE,
                                 "the registry %s %s (it gives no token: HTTP %u)", d->host,
                                 d->login ? "does not take the password"
                                          : "wants a password, and none is set",
                                 response.status);
        return take_token(d, &response, ret_error);
}

static int authenticate(Distribution *d, const WebResponse *response, char **ret_error)
{
        _cleanup_(challenge_done) Challenge challenge = {};
        int r;

        if (!d->knows_login) {
                r = login_get(d->options.settings, web_deadline(d->web), &d->login, ret_error);
                if (r != 0)
                        return r < 0 ? r : ASK_UNAVAILABLE;
                d->knows_login = true;
        }
        r = challenge_parse(d->options.settings, response->challenge, &challenge, ret_error);
        if (r != 0)
                return r < 0 ? r : ASK_UNAVAILABLE;
        if (challenge.is_token)
                return get_token(d, &challenge, ret_error);
        if (!d->login)
                return error_set(ret_error, ASK_UNAVAILABLE,
                                 "the registry %s wants a password, and none is set", d->host);
        free(d->authorization);
        d->authorization = strdup(d->login);
        return d->authorization ? 0 : -ENOMEM;
}

/* A question */

static bool is_busy(unsigned status)
{
        return status == 429 || (status >= 502 && status <= 504);
}

/* Waits as long as the registry says, or a little longer each time. False where there is no time for it. */
static bool wait_for_registry(const Distribution *d, const WebResponse *response, unsigned n)
{
        usec_t pause = response->retry_usec > 0 ? response->retry_usec : BUSY_USEC << n;

        if (n >= BUSY_RETRIES || pause > BUSY_USEC_MAX ||
            now_usec(CLOCK_MONOTONIC) + pause >= web_deadline(d->web))
                return false;
        (void) usleep((useconds_t) pause);
        return true;
}

/* 0 with a response that is neither 401 nor that of a registry with too much to do. */
static int request(Distribution *d, WebRequest *request, WebResponse *ret, char **ret_error)
{
        bool was_asked = false;
        unsigned n_busy = 0;

        for (;;) {
                int r;

                request->authorization = d->authorization;
                web_response_done(ret);
                r = web_exchange(d->web, request, ret, ret_error);
                if (r != 0)
                        return r < 0 ? r : ASK_UNAVAILABLE;
                if (ret->status == 401 && !was_asked) {
                        was_asked = true;
                        r = authenticate(d, ret, ret_error);
                        if (r != 0)
                                return r;
                } else if (ret->status == 401 || ret->status == 403)
                        return error_set(
                                ret_error, ASK_UNAVAILABLE,
                                "the registry %s does not take the password, or does not let us in to %s",
                                d->host, d->repository);
                else if (is_busy(ret->status) && !wait_for_registry(d, ret, n_busy++))
                        return error_set(ret_error, ASK_UNAVAILABLE,
                                         "the registry %s has too much to do (HTTP %u)", d->host,
                                         ret->status);
                else if (!is_busy(ret->status))
                        return 0;
        }
}

static int unexpected(const Distribution *d, const WebResponse *response, char **ret_error)
{
        return error_set(ret_error, ASK_UNAVAILABLE, "the registry %s answers HTTP %u", d->host,
                         response->status);
}

/* Manifests */

void manifest_done(Manifest *manifest)
{
        free(manifest->text);
        *manifest = (Manifest){};
}

static int take_manifest(const Distribution *d, const char *reference, WebResponse *response, Manifest *ret,
                         char **ret_error)
{
        Manifest manifest = { .size = response->body.size };
        int r = hash_bytes(response->body.data, response->body.size, manifest.digest);

        if (r < 0)
                return r;
        if (digest_hex(reference) && !streq(reference, manifest.digest))
                return error_set(ret_error, ASK_UNAVAILABLE,
                                 "the registry %s sends another manifest than the one of %s", d->host,
                                 reference);
        r = answer_check_type(response, d->host, ret_error);
        if (r != 0)
                return r;
        r = buffer_append(&response->body, "", 1, SIZE_MAX);
        if (r < 0)
                return r;
        manifest.text = (char *) TAKE_PTR(response->body.data);
        response->body = (Buffer){};
        *ret = manifest;
        return 0;
}

int distribution_manifest(Distribution *d, const char *reference, Manifest *ret, char **ret_error)
{
        _cleanup_(web_response_done) WebResponse response = {};
        _cleanup_free_ char *url = string_format("%s/v2/%s/manifests/%s", d->base, d->repository, reference);
        WebRequest ask = { .url = url, .accept = ACCEPT, .follows = true, .size_max = MANIFEST_SIZE_MAX };
        int r;

        if (!url)
                return -ENOMEM;
        r = request(d, &ask, &response, ret_error);
        if (r != 0)
                return r;
        if (response.status == 404)
                return error_set(ret_error, ASK_MISSING, "the registry %s has no %s:%s", d->host,
                                 d->repository, reference);
        if (response.status != 200)
                return unexpected(d, &response, ret_error);
        return take_manifest(d, reference, &response, ret, ret_error);
}

/* Tags */

int distribution_tags(Distribution *d, char ***ret, char **ret_error)
{
        _cleanup_free_ char *url = string_format("%s/v2/%s/tags/list?n=1000", d->base, d->repository);
        _cleanup_(strv_freep) char **tags = NULL;

        for (unsigned n = 0; url && n < TAGS_PAGES_MAX; n++) {
                _cleanup_(web_response_done) WebResponse response = {};
                WebRequest ask = { .url = url, .size_max = TAGS_SIZE_MAX };
                int r = request(d, &ask, &response, ret_error);

                if (r != 0)
                        return r;
                if (response.status == 404)
                        return error_set(ret_error, ASK_MISSING, "the registry %s has no repository %s",
                                         d->host, d->repository);
                if (response.status != 200)
                        return unexpected(d, &response, ret_error);
                r = answer_tags(&response, d->host, &tags, ret_error);
                if (r != 0)
                        return r;
                free(url);
                r = answer_next_page(&response, d->base, &url);
                if (r < 0)
                        return r;
                if (!url) {
                        *ret = TAKE_PTR(tags);
                        return 0;
                }
        }
        return error_set(ret_error, ASK_UNAVAILABLE, "the registry %s lists its tags without an end",
                         d->host);
}

/* Blobs */

typedef struct BlobSink {
        const BlobRequest *request;
        const WebResponse *response;
} BlobSink;

static int on_blob(const void *data, size_t size, void *userdata)
{
        const BlobSink *sink = userdata;

        *sink->request->ret_start = sink->response->range_start;
        return sink->request->sink(data, size, sink->request->userdata);
}

int distribution_blob(Distribution *d, const BlobRequest *blob, char **ret_error)
{
        _cleanup_(web_response_done) WebResponse response = {};
        _cleanup_free_ char *url = string_format("%s/v2/%s/blobs/%s", d->base, d->repository, blob->digest);
        BlobSink sink = { blob, &response };
        WebRequest ask = { .url = url,
                           .follows = true,
                           .offset = blob->offset,
                           .sink = on_blob,
                           .userdata = &sink,
                           .size_max = blob->size };
        int r;

        if (!url)
                return -ENOMEM;
        r = request(d, &ask, &response, ret_error);
        if (r != 0)
                return r;
        if (response.status == 404)
                return error_set(ret_error, ASK_BAD_IMAGE,
                                 "the registry %s has the image, but not its blob %s", d->host,
                                 blob->digest);
        return response.status == 200 || response.status == 206 ? 0 : unexpected(d, &response, ret_error);
}

/* Sending */

static int has_blob(Distribution *d, const char *digest, bool *ret, char **ret_error)
{
        _cleanup_(web_response_done) WebResponse response = {};
        _cleanup_free_ char *url = string_format("%s/v2/%s/blobs/%s", d->base, d->repository, digest);
        WebRequest ask = { .url = url, .method = "HEAD", .follows = true };
        int r = url ? request(d, &ask, &response, ret_error) : -ENOMEM;

        *ret = response.status == 200;
        return r;
}

static int upload_url(Distribution *d, const char *digest, char **ret, char **ret_error)
{
        _cleanup_(web_response_done) WebResponse response = {};
        _cleanup_free_ char *url = string_format("%s/v2/%s/blobs/uploads/", d->base, d->repository);
        WebRequest ask = { .url = url, .method = "POST" };
        int r = url ? request(d, &ask, &response, ret_error) : -ENOMEM;

        if (r != 0)
                return r;
        if (response.status == 404)
                return error_set(ret_error, ASK_MISSING, "the registry %s has no repository %s", d->host,
                                 d->repository);
        if (response.status != 202)
                return unexpected(d, &response, ret_error);
        return answer_upload_url(&response, d->base, digest, ret, ret_error);
}

int distribution_put_blob(Distribution *d, const char *digest, int fd, uint64_t size, char **ret_error)
{
        _cleanup_(web_response_done) WebResponse response = {};
        _cleanup_free_ char *url = NULL;
        WebRequest ask = { .method = "PUT",
                           .content_type = "application/octet-stream",
                           .has_file = true,
                           .body_fd = fd,
                           .body_size = size };
        bool is_there;
        int r;

        r = has_blob(d, digest, &is_there, ret_error);
        if (r != 0 || is_there)
                return r;
        r = upload_url(d, digest, &url, ret_error);
        if (r != 0)
                return r;
        ask.url = url;
        r = request(d, &ask, &response, ret_error);
        return r != 0 || response.status == 201 ? r : unexpected(d, &response, ret_error);
}

int distribution_put_manifest(Distribution *d, const char *tag, const char *media_type, Bytes manifest,
                              char **ret_error)
{
        _cleanup_(web_response_done) WebResponse response = {};
        _cleanup_free_ char *url = string_format("%s/v2/%s/manifests/%s", d->base, d->repository, tag);
        WebRequest ask = { .url = url, .method = "PUT", .content_type = media_type, .body = manifest };
        int r = url ? request(d, &ask, &response, ret_error) : -ENOMEM;

        return r != 0 || response.status == 201 ? r : unexpected(d, &response, ret_error);
}

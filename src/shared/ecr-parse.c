/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pure: hosts and answers to structs. */

#include "ecr.h"

#include "aws-sign.h"
#include "json-util.h"

#include "basic/digest.h"
#include "basic/string-util.h"

#include <errno.h>
#include <openssl/evp.h>

#define ACCOUNT_SIZE      12U
#define HOST_MIDDLE       ".dkr.ecr."
#define HOST_END          ".amazonaws.com"
#define JSON_DEPTH_MAX    8
#define JSON_SIZE_MAX     (8U * 1024U * 1024U)
#define PASSWORD_SIZE_MAX 16384U
#define TAG_SIZE_MAX      300U
#define NEXT_SIZE_MAX     4096U
#define NAME_SIZE_MAX     64U

void ecr_registry_done(EcrRegistry *registry)
{
        free(registry->account);
        free(registry->region);
        *registry = (EcrRegistry){};
}

void ecr_token_done(EcrToken *token)
{
        if (token->password)
                explicit_bzero(token->password, strlen(token->password));
        free(token->user);
        free(token->password);
        *token = (EcrToken){};
}

int ecr_registry_from_host(const char *host, EcrRegistry *ret)
{
        const char *region = strspn(host, "0123456789") == ACCOUNT_SIZE
                                     ? string_after(host + ACCOUNT_SIZE, HOST_MIDDLE)
                                     : NULL;
        const char *end = region ? strstr(region, HOST_END) : NULL;
        EcrRegistry registry;

        if (!end || (!streq(end, HOST_END) && !streq(end, HOST_END ".cn")))
                return 0;
        registry = (EcrRegistry){ strndup(host, ACCOUNT_SIZE), strndup(region, (size_t) (end - region)) };
        if (!registry.account || !registry.region) {
                ecr_registry_done(&registry);
                return -ENOMEM;
        }
        if (!aws_region_is_valid(registry.region)) {
                ecr_registry_done(&registry);
                return 0;
        }
        *ret = registry;
        return 1;
}

/* base64(USER:PASSWORD) */
static int decode_token(const char *encoded, EcrToken *ret, char **ret_error)
{
        size_t size = strlen(encoded);
        _cleanup_free_ char *plain = calloc(1, size + 4);
        char *colon;
        int n;

        if (!plain)
                return -ENOMEM;
        n = size > 0 && size % 4 == 0 && size <= PASSWORD_SIZE_MAX
                    ? EVP_DecodeBlock((unsigned char *) plain, (const unsigned char *) encoded, (int) size)
                    : -1;
        colon = n > 0 ? strchr(plain, ':') : NULL;
        if (!colon)
                return error_set(ret_error, ECR_FAILED, "its token is malformed");
        *colon = '\0';
        if (!aws_text_is_valid(plain, TAG_SIZE_MAX) || !aws_text_is_valid(colon + 1, PASSWORD_SIZE_MAX))
                return error_set(ret_error, ECR_FAILED, "its token is malformed");
        ret->user = strdup(plain);
        ret->password = strdup(colon + 1);
        explicit_bzero(plain, size);
        return ret->user && ret->password ? 0 : -ENOMEM;
}

/* Seconds since 1970, with a fraction. */
static usec_t time_of(json_object *object)
{
        json_object *value = json_object_object_get(object, "expiresAt");
        double seconds = json_object_get_double(value);

        return seconds > 0 && seconds < 1e11 ? (usec_t) seconds * USEC_PER_SEC : 0;
}

int ecr_parse_token(const char *json, size_t size, EcrToken *ret, char **ret_error)
{
        _cleanup_(json_putp) json_object *object = NULL;
        EcrToken token = {};
        json_object *data, *first = NULL;
        int r = json_parse(json, size, JSON_SIZE_MAX, JSON_DEPTH_MAX, &object);

        if (r < 0)
                return r;
        data = json_member(object, "authorizationData");
        if (json_object_is_type(data, json_type_array))
                first = json_object_array_get_idx(data, 0);
        if (!json_member_text(first, "authorizationToken"))
                return error_set(ret_error, ECR_FAILED, "its answer has no token");
        r = decode_token(json_member_text(first, "authorizationToken"), &token, ret_error);
        if (r != 0) {
                ecr_token_done(&token);
                return r;
        }
        token.expires_usec = time_of(first);
        *ret = token;
        return 0;
}

static int add_tag(json_object *images, const char *digest, const char *tag)
{
        json_object *tags = json_object_object_get(images, digest), *value;

        if (!tags) {
                tags = json_object_new_array();
                if (!tags || json_object_object_add(images, digest, tags) < 0)
                        return -ENOMEM;
        }
        if (!tag)
                return 0;
        value = json_object_new_string(tag);
        if (value && json_object_array_add(tags, value) == 0)
                return 0;
        json_object_put(value);
        return -ENOMEM;
}

static int add_image(json_object *images, json_object *id, char **ret_error)
{
        const char *digest = json_member_text(id, "imageDigest"), *tag = json_member_text(id, "imageTag");

        if (!digest || !digest_hex(digest))
                return 0; /* of a kind that cannot be had here */
        if (tag && !aws_text_is_valid(tag, TAG_SIZE_MAX))
                return error_set(ret_error, ECR_FAILED, "its list has a tag that is malformed");
        if (json_object_object_length(images) >= (int) ECR_IMAGES_MAX)
                return error_set(ret_error, ECR_FAILED, "its list is too long");
        return add_tag(images, digest, tag);
}

int ecr_parse_page(const char *json, size_t size, json_object *images, char **ret_next, char **ret_error)
{
        _cleanup_(json_putp) json_object *object = NULL;
        json_object *ids;
        const char *next;
        int r = json_parse(json, size, JSON_SIZE_MAX, JSON_DEPTH_MAX, &object);

        if (r < 0)
                return r;
        ids = json_member(object, "imageIds");
        if (!json_object_is_type(ids, json_type_array))
                return error_set(ret_error, ECR_FAILED, "its answer has no list");
        for (size_t i = 0; r == 0 && i < json_object_array_length(ids); i++)
                r = add_image(images, json_object_array_get_idx(ids, i), ret_error);
        if (r != 0)
                return r;
        next = json_member_text(object, "nextToken");
        if (next && strlen(next) > NEXT_SIZE_MAX)
                return error_set(ret_error, ECR_FAILED, "its list goes on by a token that is too long");
        *ret_next = next ? strdup(next) : NULL;
        return next && !*ret_next ? -ENOMEM : 0;
}

static int meaning_of(const char *name)
{
        static const struct {
                const char *name;
                int result;
        } errors[] = {
                { "RepositoryNotFoundException", ECR_MISSING },
                { "RepositoryAlreadyExistsException", ECR_EXISTS },
        };

        for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
                if (streq(errors[i].name, name))
                        return errors[i].result;
        return ECR_FAILED;
}

int ecr_parse_error(const char *json, size_t size, char **ret_name)
{
        _cleanup_(json_putp) json_object *object = NULL;
        const char *type, *name;
        int r = json_parse(json, size, JSON_SIZE_MAX, JSON_DEPTH_MAX, &object);

        if (r < 0)
                return r;
        type = json_member_text(object, "__type") ?: "";
        name = strrchr(type, '#') ? strrchr(type, '#') + 1 : type;
        if (!aws_text_is_valid(name, NAME_SIZE_MAX) || strpbrk(name, "<>&\"'")) {
                *ret_name = NULL;
                return ECR_FAILED;
        }
        *ret_name = strdup(name);
        return *ret_name ? meaning_of(name) : -ENOMEM;
}

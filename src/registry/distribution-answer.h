/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a registry's answers say. Pure: headers and bodies to values, without a network. Whatever they hold,
 * what is given back is fit for a header, or is an address at the registry itself. */

#include "web.h"

#define ANSWER_TOKEN_SIZE_MAX 16384U
#define ANSWER_TAGS_MAX       10000U

/* All give 0, -ENOMEM, or a code of distribution.h with why: a new string. `host` is the registry's name for
 * people, `base` its address, http[s]://HOST. */

/* The answer of who gives tokens: what the header Authorization says, a new string. */
int answer_token(const WebResponse *response, const char *host, char **ret, char **ret_error) _warn_unused_;

/* A manifest: what the header calls it and what it calls itself must be one, and it must be that of an image
 * or of a list, not of both: or one reader would see an image where another sees a list of them. */
int answer_check_type(const WebResponse *response, const char *host, char **ret_error) _warn_unused_;

/* A page of tags. Those that may be the name of a version are added to `tags`, ANSWER_TAGS_MAX at most. */
int answer_tags(const WebResponse *response, const char *host, char ***tags, char **ret_error) _warn_unused_;
/* The next page, where the header Link names one of this host: a new string; NULL where there is none. */
int answer_next_page(const WebResponse *response, const char *base, char **ret) _warn_unused_;

/* Where to send a blob to: a new string. It must be at the registry itself: the password goes there. */
int answer_upload_url(const WebResponse *response, const char *base, const char *digest, char **ret,
                      char **ret_error) _warn_unused_;

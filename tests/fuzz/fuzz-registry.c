/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a registry says of who may ask, who we are there, and lists of images: the first byte chooses. */

#include "fuzz.h"

#include "registry/ask.h"
#include "registry/challenge.h"
#include "registry/login.h"

#include "basic/digest.h"
#include "basic/string-util.h"

/* Whatever it says, the password goes to one of two hosts, over TLS. */
static void read_challenge(char *text, size_t size)
{
        static char host[] = "r.example", other[] = "auth.example";
        static char *token_hosts[] = { other, NULL };
        const RegistrySettings settings = { .host = host, .token_hosts = token_hosts };
        _cleanup_(challenge_done) Challenge challenge = {};
        _cleanup_free_ char *error = NULL, *url = NULL;
        int r = challenge_parse(&settings, text, &challenge, &error);

        expect((r == CHALLENGE_BAD) == (error != NULL));
        if (r != 0 || !challenge.is_token)
                return;
        url = challenge_token_url(&challenge, "team/ruby", "pull");
        expect(url);
        for (const char *c = url; *c; c++)
                expect(*c > ' ' && *c <= '~');
        expect(!strncasecmp(url, "https://r.example", 17) || !strncasecmp(url, "https://auth.example", 20));
        url[0] = '\0';
        expect(strchr("/?#", challenge.realm[strcspn(challenge.realm + 8, "/?#") + 8]));
}

static void read_auth_file(char *text, size_t size)
{
        _cleanup_free_ char *login = NULL, *error = NULL;
        int r = login_from_auth_file(text, size, "r.example", &login, &error);

        expect((r == LOGIN_FAILED) == (error != NULL));
        for (const char *c = login; c && *c; c++)
                expect(*c >= ' ' && *c <= '~');
}

static void read_list(char *text, size_t size)
{
        const Manifest manifest = { .text = text, .size = size };
        _cleanup_free_ char *error = NULL;
        char digest[80] = "";
        int r = index_choose(&manifest, digest, &error);

        expect((r == ASK_BAD_IMAGE) == (error != NULL));
        expect(r != 0 || digest[0] == '\0' || digest_hex(digest));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static void (*const readers[])(char *text, size_t size) = { read_challenge, read_auth_file,
                                                                    read_list };
        _cleanup_free_ char *text = NULL;

        if (size == 0)
                return 0;
        text = calloc(1, size); /* without the first byte, with a NUL */
        expect(text);
        (void) memcpy(text, data + 1, size - 1);
        readers[data[0] % ARRAY_SIZE(readers)](text, size - 1);
        return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a router sends to a client: a reply has a status of three digits and is kept byte for byte; what is
 * none may say how far it is, and nothing else is taken. */

#include "fuzz.h"

#include "client/client.h"

#include "basic/string-util.h"
#include "proto/json-fields.h"

static void check_progress(const ClientReply *reply)
{
        ClientProgress progress;
        int r = client_reply_progress(reply, &progress);

        expect(r == 0 || r == CLIENT_BAD_REPLY);
        expect(r != 0 || reply->code == 0);
        if (r == 0 && progress.text)
                expect(memmem(reply->text.data, reply->text.size, "\"text\"", 6) ||
                       memchr(reply->text.data, '\\', reply->text.size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(client_reply_done) ClientReply reply = {}, again = {};
        const char *error;
        int r = client_reply_parse(data, size, &reply);

        expect(r == 0 || r == CLIENT_BAD_REPLY);
        if (r != 0)
                return 0;
        expect(reply.text.size == size && memcmp(reply.text.data, data, size) == 0);
        expect(reply.text.data[size] == '\0');
        expect(reply.code == 0 || (reply.code >= 100 && reply.code <= 999));
        expect((reply.code == 0) == !json_object_object_get_ex(reply.object, "status", NULL));
        error = client_reply_error(&reply);
        expect(!error || strlen(error) <= size);
        check_progress(&reply);
        /* Another reader sees the same. */
        expect(client_reply_parse(reply.text.data, reply.text.size, &again) == 0 &&
               again.code == reply.code);
        expect(streq(json_object_text(reply.object), json_object_text(again.object)));
        return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames of ZAP, a line each, and who they let in: at each door by its own mechanism, as nobody else than
 * the frames say. */

#include "fuzz.h"

#include "router/zap-request.h"

#include "basic/string-util.h"

#include <errno.h>
#include <stdio.h>
#include <zmq.h>

#define FRAMES_MAX 8U
#define KEY        "abcdefghijklmnopqrstuvwxyz012345"

static void check_address(const char *address)
{
        uid_t uid, back_uid;
        gid_t gid, back_gid;
        char written[64];
        int r = principal_user_of_address(address, &uid, &gid);

        expect(r == 0 || r == -EPERM);
        if (r != 0)
                return;
        expect(uid != (uid_t) -1 && gid != (gid_t) -1);
        (void) snprintf(written, sizeof(written), "localhost:%u:%u:1", uid, gid);
        expect(principal_user_of_address(written, &back_uid, &back_gid) == 0);
        expect(back_uid == uid && back_gid == gid);
        address = string_after(address, "localhost:");
        expect(address && strspn(address, "0123456789") > 0 &&
               address[strspn(address, "0123456789")] == ':');
        expect(uid != 0 || strspn(address, "0") == strspn(address, "0123456789"));
}

/* One key is known. */
static void init(Principals *principals)
{
        static char *roles[] = { (char *) "submit", NULL };
        KeyEntry entry = { .name = (char *) "peer", .file = { .roles = roles } };
        const KeyFolder folder = { .entries = &entry, .n_entries = 1 };

        expect(principals_init(principals) == 0);
        expect(zmq_z85_encode(entry.file.public, (const uint8_t *) KEY, KEY_SIZE));
        expect(principals_set_keys(principals, &folder) == 0 && principals->n_keys == 1);
        principals->loopback_roles = ROLE_SUBMIT | ROLE_WORKER;
}

static void check_user(const ZapRequest *request, const Principal *principal)
{
        char name[32];
        uid_t uid;
        gid_t gid;

        expect(principal_user_of_address(request->address, &uid, &gid) == 0);
        (void) snprintf(name, sizeof(name), "uid:%u", uid);
        expect(streq(request->mechanism, "NULL") && streq(principal->name, name) && !principal->has_key);
        expect(uid != 0 || principal->roles == ROLE_ALL);
}

static void check_door(const ZapRequest *request, const Principal *principal)
{
        if (streq(request->domain, DOMAIN_UNIX))
                check_user(request, principal);
        else if (streq(request->domain, DOMAIN_LOOPBACK))
                expect(streq(request->mechanism, "NULL") && streq(principal->name, "loopback") &&
                       principal->roles == (ROLE_SUBMIT | ROLE_WORKER));
        else
                expect(streq(request->domain, DOMAIN_KEYS) && streq(request->mechanism, "CURVE") &&
                       request->key && memcmp(request->key, KEY, KEY_SIZE) == 0 &&
                       streq(principal->name, "key:peer") && principal->roles == ROLE_SUBMIT);
}

static void check_request(const ZapRequest *request)
{
        const Caller caller = { request->domain, request->address, request->mechanism, request->key };
        _cleanup_(principals_done) Principals principals = {};
        const Principal *principal = NULL;
        char id[PRINCIPAL_ID_SIZE];
        int r;

        init(&principals);
        r = principals_find(&principals, &caller, id, &principal);
        expect(r == 0 || r == -EPERM);
        expect((r == 0) == (principal != NULL));
        if (r != 0)
                return;
        expect(principals_get(&principals, id) == principal && principal->roles != 0);
        check_door(request, principal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(zap_request_done) ZapRequest request = {};
        Bytes frames[FRAMES_MAX];
        const uint8_t *at = data, *end = data + size;
        size_t n = 0;
        int r;

        while (n < FRAMES_MAX) {
                const uint8_t *line_end = at < end ? memchr(at, '\n', (size_t) (end - at)) : NULL;

                line_end = line_end ?: end;
                frames[n++] = (Bytes){ at, (size_t) (line_end - at) };
                if (line_end == end)
                        break;
                at = line_end + 1;
        }
        r = zap_request_parse(frames, n, &request);
        expect(r == 0 || r == ZAP_BAD);
        expect((r == ZAP_BAD) == (n < 6));
        if (r != 0)
                return 0;
        expect(request.id.data == frames[1].data && request.id.size == frames[1].size);
        check_address(request.address);
        check_request(&request);
        return 0;
}

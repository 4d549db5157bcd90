/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The other end of an order's connection, for fuzzers: what they have in common. */

#include "basic/fd-util.h"
#include "proto/frame.h"
#include "rootless/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static inline void expect(bool condition)
{
        if (!condition)
                abort();
}

typedef struct Peer {
        int fd; /* negative: not connected */
        Buffer in;
        bool is_started, is_answered;
        uint64_t output_size, files_size, file_left;
} Peer;

static inline void peer_done(Peer *peer)
{
        peer->fd = safe_close(peer->fd);
        buffer_done(&peer->in);
        *peer = (Peer){ .fd = -EBADF };
}

static inline void peer_connect(Peer *peer, OrderServer *server)
{
        int fds[2];

        if (peer->fd >= 0)
                return;
        expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
        peer->fd = fds[1];
        expect(connection_new(server, 0, fds[0]) == 0);
}

/* What does not fit is lost. */
static inline void say(int to, const void *data, size_t size, int fd)
{
        if (to >= 0 && fd_send(to, data, size, fd) < 0)
                return;
}

static inline void say_frame(int to, FrameType type, uint16_t flags, const void *payload, size_t size,
                             int fd)
{
        _cleanup_(buffer_done) Buffer out = {};

        expect(frame_append(&out, type, flags, payload, size, SIZE_MAX) == 0);
        say(to, out.data, out.size, fd);
}

/* Whether anything came. */
static inline bool receive(int fd, Buffer *in)
{
        static uint8_t chunk[FRAME_PAYLOAD_MAX];
        ssize_t n = fd < 0 ? -1 : read(fd, chunk, sizeof(chunk));

        if (n <= 0)
                return false;
        expect(buffer_append(in, chunk, (size_t) n, SIZE_MAX) == 0);
        return true;
}

/* An answer is an object with a code, and an error where that is not 0. */
static inline void expect_answer(const Frame *frame)
{
        _cleanup_json_ json_object *answer = NULL;
        _cleanup_free_ char *error = NULL;

        expect(json_object_from_bytes(frame->payload, frame->size, &answer, &error) == 0);
        expect(json_object_object_get_ex(answer, "code", NULL));
        expect(json_text(answer, "error") ||
               json_object_get_int(json_object_object_get(answer, "code")) == 0);
}

/* A text in single quotes becomes one in double quotes. Then, as `how` says, one byte is another, or all
 * behind a place is left out. Returns its length. */
static inline size_t spoil(char *text, uint8_t how, uint8_t where, uint8_t with)
{
        size_t n = strlen(text), place = (where + how / 4U) * 3U % n;

        for (char *s = text; *s; s++)
                *s = *s == '\'' ? '"' : *s;
        if (how % 4 == 1)
                text[place] = (char) with;
        return how % 4 == 2 ? place : n;
}

/* Two of these are equal where no descriptor was left open, or closed that was another's, in between. */
static inline int lowest_fd(void)
{
        int fd = open("/", O_PATH | O_CLOEXEC);

        safe_close(fd);
        return fd;
}

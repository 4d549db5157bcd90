/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the fuzzers of orders have in common. The input is a program: each byte a step, those behind it what
 * it needs. Its peers are the other ends of orders' connections. */

#include "fuzz.h"

#include "basic/fd-util.h"
#include "proto/frame.h"
#include "rootless/connection.h"
#include "shared/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define N_PEERS     3U
#define N_STEPS_MAX 64U

/* The program */

static struct {
        const uint8_t *data;
        size_t size;
} program;

static inline uint8_t next(void)
{
        if (program.size == 0)
                return 0;
        program.size--;
        return *program.data++;
}

/* The next bytes, as many as there are of `n_max`. */
static inline const uint8_t *next_bytes(size_t n_max, size_t *ret)
{
        const uint8_t *bytes = program.data;

        *ret = MIN(n_max, program.size);
        program.data += *ret;
        program.size -= *ret;
        return bytes;
}

/* Peers */

typedef struct Peer {
        int fd; /* negative: not connected */
        Buffer in;
        bool is_started, is_answered;
        uint64_t output_size, files_size, file_left;
} Peer;

static Peer peers[N_PEERS];

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

static inline Peer *next_peer(OrderServer *server)
{
        Peer *peer = &peers[next() % N_PEERS];

        peer_connect(peer, server);
        return peer;
}

/* A step. */
static inline void do_leave(void)
{
        peer_done(&peers[next() % N_PEERS]);
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

/* A file of some kind. */
static inline int open_some(unsigned which)
{
        static const char *const files[] = { "/proc/self/exe", "/", "/dev/null" };

        return open(files[which % ARRAY_SIZE(files)], O_RDONLY | O_CLOEXEC);
}

/* Reads a connection, and looks at each frame. Returns whether anything came. */
static inline bool read_frames(int fd, Buffer *in, void (*look)(void *, const Frame *), void *userdata)
{
        static uint8_t chunk[FRAME_PAYLOAD_MAX];
        ssize_t n = fd < 0 ? -1 : read(fd, chunk, sizeof(chunk));
        Frame frame;

        if (n > 0)
                expect(buffer_append(in, chunk, (size_t) n, SIZE_MAX) == 0);
        while (frame_parse(in->data, in->size, &frame) == 0) {
                look(userdata, &frame);
                buffer_consume(in, frame_total_size(&frame));
        }
        return n > 0;
}

/* The same of all peers; `look` is given the peer. */
static inline bool read_peers(void (*look)(void *, const Frame *))
{
        bool is_more = false;

        for (size_t i = 0; i < N_PEERS; i++)
                is_more |= read_frames(peers[i].fd, &peers[i].in, look, &peers[i]);
        return is_more;
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

/* The whole */

typedef struct Play {
        void (*begin)(void);
        void (*run)(void); /* until nothing happens any more */
        void (*end)(void);
        void (*const *steps)(void);
        size_t n_steps;
} Play;

static inline void play(const Play *play, const uint8_t *data, size_t size)
{
        int fd = lowest_fd();

        log_set_max_level(-1);
        program.data = data;
        program.size = size;
        for (size_t i = 0; i < N_PEERS; i++)
                peers[i] = (Peer){ .fd = -EBADF };
        play->begin();
        for (size_t i = 0; i < N_STEPS_MAX && program.size > 0; i++) {
                uint8_t step = next();

                play->steps[step % 16 % play->n_steps]();
                if (step < 128) /* else together with the next */
                        play->run();
        }
        play->run();
        play->end();
        for (size_t i = 0; i < N_PEERS; i++)
                peer_done(&peers[i]);
        expect(lowest_fd() == fd);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one job costs the router's core (request in, job out, outcome in, reply out), with ten workers and
 * ten jobs waiting, and with a thousand and a hundred thousand: it must not be more. The clock and the wire
 * are ours, so that nothing but the core is measured. Prints `route-1000 LARGE SMALL RATIO`, in
 * microseconds. */

#include "router/router.h"

#include "basic/string-util.h"
#include "proto/peer-message.h"
#include "shared/log.h"

#include <stdio.h>
#include <unistd.h>

#define N_TRACKS    10U
#define N_MEASURED  20000U
#define N_ROUNDS    3U
#define WORKERS_MAX 1000U

typedef struct Bench {
        Router *router;
        Store *store;
        /* The jobs under way, the oldest first: a ring. */
        struct {
                char identity[16], job[33], token[17];
        } running[WORKERS_MAX];
        size_t n_running, first;
        size_t n_answered, n_failed;
        usec_t now;
} Bench;

static const Principal client = { .name = (char *) "loopback", .roles = ROLE_SUBMIT };
static const Principal peer = { .name = (char *) "uid:990", .roles = ROLE_WORKER };

static usec_t bench_now(void *userdata)
{
        return ((Bench *) userdata)->now++;
}

static void copy_member(const Bytes *body, const char *name, char *ret, size_t length)
{
        const char *at = memmem(body->data, body->size, name, strlen(name));

        if (!at)
                abort();
        memcpy(ret, at + strlen(name), length);
        ret[length] = '\0';
}

static int bench_send(void *userdata, const Bytes *frames, size_t n_frames)
{
        Bench *b = userdata;
        size_t place;

        if (frames[1].size == 0) {
                b->n_answered++;
                b->n_failed += memmem(frames[2].data, frames[2].size, "\"status_code\":200", 17) == NULL;
                return 0;
        }
        if (frames[2].size != 3 || memcmp(frames[2].data, "job", 3) != 0)
                return 0;
        place = (b->first + b->n_running++) % WORKERS_MAX;
        memcpy(b->running[place].identity, frames[0].data, frames[0].size);
        b->running[place].identity[frames[0].size] = '\0';
        copy_member(&frames[3], "\"job\":\"", b->running[place].job, 32);
        copy_member(&frames[3], "\"token\":\"", b->running[place].token, 16);
        return 0;
}

static void say(Bench *b, const Principal *principal, const char *identity, const char *const *frames,
                size_t n)
{
        Bytes bytes[ROUTER_N_FRAMES_MAX] = { { identity, strlen(identity) } };

        for (size_t i = 0; i < n; i++)
                bytes[i + 1] = (Bytes){ frames[i], strlen(frames[i]) };
        if (router_on_message(b->router, principal, bytes, n + 1, false) != 0)
                abort();
}

static void submit(Bench *b, size_t i)
{
        _cleanup_free_ char *text =
                string_format("{\"action\":\"test_solution\",\"id\":\"%zu\",\"track_slug\":\"t%zu\","
                              "\"exercise_slug\":\"two-fer\","
                              "\"s3_uri\":\"s3://bucket/prefix/%zu/\",\"container_version\":\"v1\"}",
                              i, i % N_TRACKS, i);

        say(b, &client, "client", (const char *[]){ "", text }, 2);
}

static void complete(Bench *b)
{
        size_t place = b->first;
        _cleanup_free_ char *body = string_format("{\"job\":\"%s\",\"token\":\"%s\",\"status_code\":200}",
                                                  b->running[place].job, b->running[place].token);

        if (b->n_running-- == 0)
                abort();
        b->first = (b->first + 1) % WORKERS_MAX;
        say(b, &peer, b->running[place].identity,
            (const char *[]){ PEER_MAGIC, "outcome", body, "{\"status\":\"pass\"}", "{}", "" }, 6);
}

static void add_worker(Bench *b, size_t i)
{
        _cleanup_free_ char *name = string_format("w%zu", i);
        _cleanup_free_ char *hello = string_format("{\"version\":1,\"name\":\"w%zu\",\"channel\":\"test_"
                                                   "runners\",\"topics\":[\"t%zu\"],\"slots\":1,"
                                                   "\"held\":{},\"jobs\":[],\"unacknowledged\":[]}",
                                                   i, i % N_TRACKS);
        _cleanup_free_ char *configured =
                string_format("{\"held\":{\"t%zu\":{\"v1\":null}},\"installing\":{}}", i % N_TRACKS);

        say(b, &peer, name, (const char *[]){ PEER_MAGIC, "hello", hello }, 3);
        say(b, &peer, name, (const char *[]){ PEER_MAGIC, "configured", configured }, 3);
}

static void open_store(Bench *b)
{
        char path[] = "/tmp/bench-route-XXXXXX";
        _cleanup_(buffer_done) Buffer text = {};
        _cleanup_free_ char *error = NULL;
        static const char head[] = "queue_length: 1000000\nrequest_memory: 4G\nanswer_memory: 0\n"
                                   "times: {queue: 1h, dead: 1h}\nworkers:\n  test_runners:\n";
        int fd = mkstemp(path), r = buffer_append(&text, head, strlen(head), SIZE_MAX);

        for (size_t i = 0; i < N_TRACKS && r == 0; i++) {
                _cleanup_free_ char *line = string_format("    t%zu: {worker_versions: [v1]}\n", i);

                r = buffer_append(&text, line, strlen(line), SIZE_MAX);
        }
        if (fd < 0 || r < 0 || write_all(fd, text.data, text.size) < 0 || close(fd) < 0 ||
            store_open(path, NULL, &b->store, &error) != 0)
                abort();
        (void) unlink(path);
}

/* Microseconds of processor time a job, the best of some rounds: the machine has other things to do. */
static double measure(size_t n_workers, size_t n_waiting)
{
        static Bench b;
        const RouterPort port = {
                .userdata = &b, .now = bench_now, .now_realtime = bench_now, .send = bench_send
        };
        double best = 0;
        size_t n = 0;

        b = (Bench){ .now = USEC_PER_SEC };
        open_store(&b);
        if (router_new(&port, b.store, false, &b.router) < 0)
                abort();
        for (size_t i = 0; i < n_workers; i++)
                add_worker(&b, i);
        while (n < n_workers + n_waiting)
                submit(&b, n++);
        for (size_t round = 0; round < N_ROUNDS; round++) {
                usec_t began = now_usec(CLOCK_PROCESS_CPUTIME_ID);
                double taken;

                for (size_t i = 0; i < N_MEASURED; i++) {
                        complete(&b);
                        submit(&b, n++);
                }
                taken = (double) (now_usec(CLOCK_PROCESS_CPUTIME_ID) - began) / N_MEASURED;
                best = round == 0 || taken < best ? taken : best;
        }
        if (b.n_failed > 0 || b.n_running != n_workers || b.n_answered != (size_t) N_MEASURED * N_ROUNDS)
                abort();
        router_free(b.router);
        store_free(b.store);
        return best;
}

int main(void)
{
        double small, large;

        log_set_max_level(-1);
        small = measure(10, 10);
        large = measure(WORKERS_MAX, 100000);
        printf("%-16s%10.2f%10.2f%10.2f\n", "route-1000", large, small, large / small);
        return EXIT_SUCCESS;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The load of the benches: the same request from several clients at once, or the same command in several
 * loops at once, each timed from its start to its end. Both print one line, `P50_USEC P99_USEC
 * RATE_PER_SECOND`, and fail where a request is not answered with 200 or a command does not exit with 0: a
 * figure of failures is none.
 *
 *   bench-load PAUSE_MSEC jobs ENDPOINT REQUEST_JSON N_CLIENTS N_JOBS
 *   bench-load PAUSE_MSEC commands N_LOOPS N_RUNS COMMAND…
 *
 * "@" in an argument of the command becomes a number that is never used twice. */

#include <errno.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "basic/macro.h"
#include "basic/parse-util.h"
#include "basic/string-util.h"
#include "basic/time-util.h"

#define N_LANES_MAX   256U
#define REPLY_SIZE    (1024U * 1024U)
#define PATIENCE_MSEC 60000

extern char **environ;

typedef struct Figures {
        usec_t *taken; /* one an operation */
        size_t n_done, n_wanted;
        usec_t began, pause; /* between an operation's end and the next one's start */
} Figures;

static int compare_usec(const void *a, const void *b)
{
        usec_t x = *(const usec_t *) a, y = *(const usec_t *) b;

        return (x > y) - (x < y);
}

static void figures_add(Figures *figures, usec_t began)
{
        figures->taken[figures->n_done++] = now_usec(CLOCK_MONOTONIC) - began;
        if (figures->pause > 0)
                (void) usleep((useconds_t) figures->pause);
}

static void figures_print(Figures *figures)
{
        double seconds = (double) (now_usec(CLOCK_MONOTONIC) - figures->began) / (double) USEC_PER_SEC;

        qsort(figures->taken, figures->n_done, sizeof(usec_t), compare_usec);
        printf("%" PRIu64 " %" PRIu64 " %.1f\n", figures->taken[figures->n_done / 2],
               figures->taken[figures->n_done * 99 / 100], (double) figures->n_done / seconds);
}

static int client_send(void *socket, const char *request)
{
        return zmq_send(socket, request, strlen(request), 0) < 0 ? -errno : 0;
}

static int client_receive(void *socket)
{
        static char reply[REPLY_SIZE + 1];
        int n = zmq_recv(socket, reply, REPLY_SIZE, 0);

        if (n < 0)
                return -errno;
        reply[MIN((size_t) n, REPLY_SIZE)] = '\0';
        if (strstr(reply, "\"status_code\":200") || strstr(reply, "\"status_code\": 200"))
                return 0;
        fprintf(stderr, "bench-load: a job failed: %.2000s\n", reply);
        return -EBADMSG;
}

/* Each client has one request under way, and sends the next when it is answered. */
static int drive_clients(zmq_pollitem_t *clients, size_t n_clients, const char *request, Figures *figures)
{
        usec_t began[N_LANES_MAX];
        size_t n_sent = 0;
        int r;

        for (; n_sent < MIN(n_clients, figures->n_wanted); n_sent++) {
                began[n_sent] = now_usec(CLOCK_MONOTONIC);
                r = client_send(clients[n_sent].socket, request);
                if (r < 0)
                        return r;
        }
        while (figures->n_done < figures->n_wanted) {
                if (zmq_poll(clients, (int) n_clients, PATIENCE_MSEC) <= 0)
                        return -ETIMEDOUT;
                for (size_t i = 0; i < n_clients; i++) {
                        if (!(clients[i].revents & ZMQ_POLLIN))
                                continue;
                        r = client_receive(clients[i].socket);
                        if (r < 0)
                                return r;
                        figures_add(figures, began[i]);
                        if (n_sent++ >= figures->n_wanted)
                                continue;
                        began[i] = now_usec(CLOCK_MONOTONIC);
                        r = client_send(clients[i].socket, request);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

static int run_jobs(const char *endpoint, const char *request, size_t n_clients, Figures *figures)
{
        zmq_pollitem_t clients[N_LANES_MAX] = {};
        void *context = zmq_ctx_new();

        if (!context)
                return -errno;
        for (size_t i = 0; i < n_clients; i++) {
                clients[i] =
                        (zmq_pollitem_t){ .socket = zmq_socket(context, ZMQ_REQ), .events = ZMQ_POLLIN };
                if (!clients[i].socket || zmq_connect(clients[i].socket, endpoint) < 0)
                        return -errno;
        }
        return drive_clients(clients, n_clients, request, figures);
}

/* The arguments with "@" replaced by the number; the array and its strings are the caller's. */
static char **numbered(char **command, size_t number)
{
        char **copy = NULL;

        for (; *command; command++) {
                const char *at = strchr(*command, '@');
                _cleanup_free_ char *argument =
                        at ? string_format("%.*s%zu%s", (int) (at - *command), *command, number, at + 1)
                           : strdup(*command);

                if (!argument || strv_extend(&copy, argument) < 0)
                        exit(EXIT_FAILURE);
        }
        return copy;
}

static int start_command(char **command, size_t number, pid_t *ret)
{
        _cleanup_(strv_freep) char **arguments = numbered(command, number);

        return -posix_spawnp(ret, arguments[0], NULL, NULL, arguments, environ);
}

/* Each loop has one command running, and starts the next when it has ended. */
static int run_commands(char **command, size_t n_loops, Figures *figures)
{
        pid_t pids[N_LANES_MAX] = {};
        usec_t began[N_LANES_MAX];
        size_t n_started = 0;

        for (size_t lane = 0; figures->n_done < figures->n_wanted;) {
                int status, r;

                if (lane < n_loops && n_started < figures->n_wanted && pids[lane] == 0) {
                        began[lane] = now_usec(CLOCK_MONOTONIC);
                        r = start_command(command, n_started++, &pids[lane]);
                        if (r < 0)
                                return r;
                        lane++;
                        continue;
                }
                pid_t ended = wait(&status);

                if (ended < 0)
                        return -errno;
                if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                        return -ECHILD;
                for (lane = 0; pids[lane] != ended;)
                        lane++;
                pids[lane] = 0;
                figures_add(figures, began[lane]);
                if (n_started >= figures->n_wanted)
                        lane = n_loops;
        }
        return 0;
}

static int usage(void)
{
        fputs("usage: bench-load PAUSE_MSEC jobs ENDPOINT REQUEST_JSON N_CLIENTS N_JOBS\n"
              "       bench-load PAUSE_MSEC commands N_LOOPS N_RUNS COMMAND…\n",
              stderr);
        return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
        bool jobs = argc == 7 && streq(argv[2], "jobs"), commands = argc > 5 && streq(argv[2], "commands");
        uint64_t n_lanes, n_wanted, pause;
        Figures figures = {};
        int r;

        if (!jobs && !commands)
                return usage();
        argv++;
        if (parse_uint64(argv[0], 0, 10000, &pause) < 0 ||
            parse_uint64(argv[jobs ? 4 : 2], 1, N_LANES_MAX, &n_lanes) < 0 ||
            parse_uint64(argv[jobs ? 5 : 3], 1, 1000000, &n_wanted) < 0)
                return usage();
        figures.pause = pause * USEC_PER_MSEC;
        figures.n_wanted = n_wanted;
        figures.taken = calloc(n_wanted, sizeof(usec_t));
        figures.began = now_usec(CLOCK_MONOTONIC);
        if (!figures.taken)
                return EXIT_FAILURE;
        r = jobs ? run_jobs(argv[2], argv[3], n_lanes, &figures) : run_commands(argv + 4, n_lanes, &figures);
        if (r < 0) {
                fprintf(stderr, "bench-load: %s\n", strerror(-r));
                return EXIT_FAILURE;
        }
        figures_print(&figures);
        free(figures.taken);
        return EXIT_SUCCESS;
}

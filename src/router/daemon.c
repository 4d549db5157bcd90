/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pipeline-router: the core (router.h) between its ZeroMQ socket, its file and the clock.
 *
 * usage: pipeline-router FILE [--seed TEMPLATE] [--force-worker-restart] …, see pipeline-router(8) */

#include "listen.h"
#include "metrics.h"
#include "router.h"
#include "zap.h"

#include "basic/string-util.h"
#include "shared/daemon-util.h"
#include "shared/log.h"
#include "shared/message-ids.h"
#include "shared/zmq-source.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define TCP_DEFAULT          "tcp://127.0.0.1:5555"
#define N_SOCKETS_MAX        4096 /* of ZeroMQ's context: connections are bound by LimitNOFILE= */
#define STATUS_INTERVAL_USEC USEC_PER_SEC
#define N_LISTEN_MAX         8U
#define METRICS_NAME         "metrics" /* of descriptors, FileDescriptorName= */

typedef struct Options {
        const char *file, *seed, *key, *keys;
        const char *listen[N_LISTEN_MAX];
        size_t n_listen;
        bool force_worker_restart, is_over;
} Options;

typedef struct Daemon {
        sd_event *event;
        void *context; /* of ZeroMQ */
        Principals principals;
        const char *keys; /* folder of the keys of peers */
        KeyFile key;      /* the router's own; without a secret where it has none */
        Store *store;
        Zap *zap;
        Metrics *metrics;
        ZmqSource *source;
        Router *router;
        sd_event_source *timer, *status, *post;
        char *status_text;
        bool is_by_hand;
} Daemon;

/* The core's world */

static usec_t port_now(void *userdata)
{
        return now_usec(CLOCK_MONOTONIC);
}

static usec_t port_now_realtime(void *userdata)
{
        return now_usec(CLOCK_REALTIME);
}

static int port_send(void *userdata, const Bytes *frames, size_t n_frames)
{
        Daemon *d = userdata;
        int r = zmq_source_send(d->source, frames, n_frames);

        return r == ZMQ_GONE || r == ZMQ_FULL ? ROUTER_GONE : r;
}

/* systemd keeps the listening sockets and starts it anew; what was said is still sent (ZMQ_LINGER). */
static int port_restart(void *userdata)
{
        Daemon *d = userdata;
        int r = sd_event_exit(d->event, 0);

        return r < 0 ? r : 0;
}

static void port_reloaded(void *userdata, const StoreConfig *config)
{
        Daemon *d = userdata;

        if (config->loopback_roles != 0)
                d->principals.loopback_roles = config->loopback_roles;
        else
                d->principals.loopback_roles = d->is_by_hand ? ROLE_ALL : ROLE_SUBMIT;
}

/* Without a folder there are no keys; one that cannot be read changes nothing. */
static int port_reload_keys(void *userdata)
{
        _cleanup_(key_folder_done) KeyFolder folder = {};
        Daemon *d = userdata;
        int r = key_folder_read(d->keys, &folder);

        if (r < 0) {
                log_errno(r, "Cannot read the keys in %s", d->keys);
                return r == -ENOMEM ? r : 0;
        }
        return principals_set_keys(&d->principals, &folder);
}

/* Events */

static int on_message(ZmqSource *source, ZmqMessage *message, void *userdata)
{
        Daemon *d = userdata;
        Bytes frames[ZMQ_N_FRAMES_MAX];
        const Principal *principal;
        const char *id;

        if (message->n_frames < 2)
                return 0;
        /* The first frame, the identity, does not always have it. */
        id = zmq_msg_gets(&message->frames[1], "User-Id");
        principal = id ? principals_get(&d->principals, id) : NULL;
        if (!principal)
                return 0; /* the handler lets nobody in without a name */
        for (size_t i = 0; i < message->n_frames; i++)
                frames[i] = (Bytes){ zmq_msg_data(&message->frames[i]), zmq_msg_size(&message->frames[i]) };
        return router_on_message(d->router, principal, frames, message->n_frames, message->too_many);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Daemon *d = userdata;

        return router_on_time(d->router);
}

/* After whatever happened: the next time may be another. */
static int on_post(sd_event_source *source, void *userdata)
{
        Daemon *d = userdata;
        usec_t next = router_next_time(d->router);
        int r;

        if (next == USEC_INFINITY)
                return sd_event_source_set_enabled(d->timer, SD_EVENT_OFF);
        r = sd_event_source_set_time(d->timer, next);
        return r < 0 ? r : sd_event_source_set_enabled(d->timer, SD_EVENT_ONESHOT);
}

static int on_status(sd_event_source *source, uint64_t usec, void *userdata)
{
        Daemon *d = userdata;
        char *text = router_status_text(d->router);
        int r;

        if (!text)
                return -ENOMEM;
        if (!d->status_text || !streq(text, d->status_text))
                daemon_notify_status("%s", text);
        free(d->status_text);
        d->status_text = text;
        r = sd_event_source_set_time_relative(source, STATUS_INTERVAL_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        _cleanup_free_ char *error = NULL;
        Daemon *d = userdata;
        int r;

        daemon_notify_reloading();
        r = router_reload(d->router, &error);
        if (r == STORE_BAD)
                log_struct(LOG_ERR, LOG_FIELDS({ "MESSAGE_ID", MSG_ROUTER_FILE_BAD }),
                           "Nothing is reloaded: %s", error);
        else if (r < 0)
                log_errno(r, "Nothing is reloaded");
        else
                log_notice("The file was reloaded");
        (void) daemon_notify_ready();
        return 0;
}

static void write_metrics(MetricWriter *writer, void *userdata)
{
        Daemon *d = userdata;

        router_write_metrics(d->router, writer);
        metric_family(writer, "pipeline_connections_refused", "counter", NULL,
                      "Connections refused: a key that is not known, or none.");
        metric_counter(writer, NULL, zap_n_refused(d->zap));
        metric_family(writer, "pipeline_keys", "gauge", NULL, "Keys of peers that are known.");
        metric_gauge(writer, NULL, d->principals.n_keys);
        metrics_write_process(writer);
}

/* Start */

static int add_events(Daemon *d)
{
        int r = sd_event_add_time(d->event, &d->timer, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, on_timer, d);

        if (r >= 0)
                r = sd_event_add_time_relative(d->event, &d->status, CLOCK_MONOTONIC, 0, 0, on_status, d);
        if (r >= 0)
                r = sd_event_add_post(d->event, &d->post, on_post, d);
        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGHUP, on_reload, d);
        return r < 0 ? r : 0;
}

static int bind_by_hand(void *socket, const char *secret, const Options *options)
{
        static const char *const defaults[] = { TCP_DEFAULT };
        const char *const *addresses = options->n_listen > 0 ? options->listen : defaults;

        for (size_t i = 0; i < MAX(options->n_listen, 1U); i++) {
                int r = listen_bind(socket, secret, addresses[i]);

                if (r < 0)
                        return r == -EPERM ? r : log_errno(r, "Cannot listen at %s", addresses[i]);
                log_info("Listening at %s", addresses[i]);
        }
        return 0;
}

/* What systemd handed over: most for the one socket, some for metrics. */
static int adopt_all(Daemon *d, void *socket, const char *secret)
{
        _cleanup_(strv_freep) char **names = NULL;
        int n = sd_listen_fds_with_names(true, &names), r = n;

        for (int i = 0; i < n && r >= 0; i++) {
                if (streq(names[i], METRICS_NAME))
                        r = metrics_add_listener(d->metrics, SD_LISTEN_FDS_START + i);
                else
                        r = listen_adopt(socket, secret, SD_LISTEN_FDS_START + i);
        }
        return r;
}

static int open_socket(Daemon *d, const Options *options)
{
        const char *secret = d->key.secret[0] != '\0' ? d->key.secret : NULL;
        void *socket;
        int r = listen_new_socket(d->context, &socket);

        if (r < 0)
                return r;
        r = zmq_source_new(d->event, socket, on_message, d, &d->source);
        if (r < 0) {
                (void) zmq_close(socket);
                return r;
        }
        return d->is_by_hand ? bind_by_hand(socket, secret, options) : adopt_all(d, socket, secret);
}

static int open_store(Daemon *d, const Options *options)
{
        _cleanup_free_ char *error = NULL;
        int r = store_open(options->file, options->seed, &d->store, &error);

        if (r == STORE_BAD) {
                log_struct(LOG_ERR, LOG_FIELDS({ "MESSAGE_ID", MSG_ROUTER_FILE_BAD }), "%s", error);
                return -EINVAL;
        }
        if (r < 0)
                return log_errno(r, "Cannot use %s", options->file);
        port_reloaded(d, store_config(d->store));
        return 0;
}

/* The router's own key and those of its peers. */
static int open_keys(Daemon *d, const Options *options)
{
        _cleanup_free_ char *error = NULL, *credential = NULL;
        const char *path = options->key;
        int r = path ? 0 : key_file_credential(&credential);

        if (r == 0 && (path || credential))
                r = key_file_read_secret(path ?: credential, &d->key, &error);
        if (r == KEY_BAD || (r == KEY_NONE && options->key)) {
                log_error("Cannot use the router's key: %s", error ?: "there is no such file");
                return -EINVAL;
        }
        if (r < 0)
                return log_errno(r, "Cannot read the router's key");
        d->keys = options->keys ?: KEY_FOLDER;
        r = port_reload_keys(d);
        if (r < 0)
                return log_errno(r, "Cannot keep the keys");
        if (d->key.secret[0] != '\0')
                log_info("%zu keys of peers are known; the router's own is %s", d->principals.n_keys,
                         d->key.public);
        return 0;
}

/* The handler of ZAP before the socket, the socket last: nobody is let in before all is there. */
static int open_daemon(Daemon *d, const Options *options)
{
        const RouterPort port = { d,
                                  port_now,
                                  port_now_realtime,
                                  port_send,
                                  port_restart,
                                  port_reloaded,
                                  port_reload_keys,
                                  !d->is_by_hand };
        sigset_t hangup;
        int r;

        (void) sigemptyset(&hangup);
        (void) sigaddset(&hangup, SIGHUP);
        (void) sigprocmask(SIG_BLOCK, &hangup, NULL);
        r = daemon_event_new(NULL, NULL, &d->event);
        if (r >= 0)
                r = principals_init(&d->principals);
        if (r < 0)
                return log_errno(r, "Cannot start");
        d->principals.is_by_hand = d->is_by_hand;
        r = open_store(d, options);
        if (r < 0)
                return r;
        r = open_keys(d, options);
        if (r < 0)
                return r;
        d->context = zmq_ctx_new();
        if (!d->context || zmq_ctx_set(d->context, ZMQ_MAX_SOCKETS, N_SOCKETS_MAX) < 0)
                return log_errno(-errno, "Cannot make a ZeroMQ context");
        r = router_new(&port, d->store, options->force_worker_restart, &d->router);
        if (r >= 0)
                r = zap_new(d->event, d->context, &d->principals, &d->zap);
        if (r >= 0)
                r = metrics_new(d->event, write_metrics, d, &d->metrics);
        if (r >= 0)
                r = add_events(d);
        if (r < 0)
                return log_errno(r, "Cannot start");
        r = open_socket(d, options);
        return r < 0 && r != -EPERM ? log_errno(r, "Cannot listen") : r;
}

static void daemon_done(Daemon *d)
{
        metrics_free(d->metrics);
        router_free(d->router);
        sd_event_source_unref(d->timer);
        sd_event_source_unref(d->status);
        sd_event_source_unref(d->post);
        zmq_source_free(d->source);
        zap_free(d->zap);
        if (d->context)
                (void) zmq_ctx_term(d->context);
        store_free(d->store);
        principals_done(&d->principals);
        key_file_done(&d->key);
        free(d->status_text);
        sd_event_unref(d->event);
}

static int run(const Options *options)
{
        _cleanup_(daemon_done) Daemon d = { .is_by_hand = sd_listen_fds(false) <= 0 };
        int r = open_daemon(&d, options);

        if (r >= 0) {
                _cleanup_(daemon_notify_stop) _unused_ const char *stop = daemon_notify_ready();

                r = sd_event_loop(d.event);
                if (r < 0)
                        log_errno(r, "The event loop failed");
        }
        return r;
}

/* The command line */

static const char help[] =
        "usage: pipeline-router FILE [OPTION…]\n"
        "\n"
        "  FILE                    what the router remembers; made from the template where it is missing\n"
        "  --seed TEMPLATE         the template\n"
        "  --force-worker-restart  every worker begins anew once\n"
        "  --listen ADDRESS        by hand: tcp:// or ipc://; may be repeated (" TCP_DEFAULT ")\n"
        "  --key FILE              the router's key, for addresses beyond loopback\n"
        "  --keys FOLDER           the keys of peers (" KEY_FOLDER ")\n"
        "  --help, --version\n";

static int parse_options(int argc, char **argv, Options *options)
{
        enum { SEED = 256, FORCE, LISTEN, KEY, KEYS, HELP, VERSION };
        static const struct option known[] = {
                { "seed", required_argument, NULL, SEED },
                { "force-worker-restart", no_argument, NULL, FORCE },
                { "listen", required_argument, NULL, LISTEN },
                { "key", required_argument, NULL, KEY },
                { "keys", required_argument, NULL, KEYS },
                { "help", no_argument, NULL, HELP },
                { "version", no_argument, NULL, VERSION },
                {},
        };
        int c;

        while ((c = getopt_long(argc, argv, "", known, NULL)) >= 0) {
                if (c == SEED)
                        options->seed = optarg;
                else if (c == KEY)
                        options->key = optarg;
                else if (c == KEYS)
                        options->keys = optarg;
                else if (c == FORCE)
                        options->force_worker_restart = true;
                else if (c == LISTEN && options->n_listen < N_LISTEN_MAX)
                        options->listen[options->n_listen++] = optarg;
                else if (c == HELP || c == VERSION) {
                        fputs(c == HELP ? help : "pipeline-router " PROJECT_VERSION "\n", stdout);
                        options->is_over = true;
                        return 0;
                } else
                        return -EINVAL;
        }
        options->file = argv[optind];
        return optind + 1 == argc ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
        Options options = {};

        log_open("pipeline-router");
        if (parse_options(argc, argv, &options) < 0) {
                fputs(help, stderr);
                return EXIT_USAGE;
        }
        if (options.is_over)
                return EXIT_SUCCESS;
        if (geteuid() == 0) {
                log_error("A router does not run as root; systemctl start pipeline-router runs it as a user "
                          "of its own");
                return EXIT_FAILURE;
        }
        return run(&options) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pipeline-buildd: builds images for pipeline-builder, which has the network and the keys; this has neither.
 * Nothing is read from anybody before its user namespace is entered. */

#include "manager.h"

#include "rootless/rootless-daemon.h"
#include "shared/daemon-util.h"
#include "shared/log.h"

#include <errno.h>
#include <string.h>

static const char usage_text[] =
        "usage: pipeline-buildd [--socket=PATH] [--folder=DIR] [--runtime=DIR] [--config=FILE]\n"
        "\n"
        "Builds container images for pipeline-builder, without a network or a secret. As a service it gets "
        "its "
        "socket\n"
        "and folders from systemd. By hand it wants --socket and --folder, and a systemd user manager.\n"
        "\n"
        "  --socket=PATH    listen here, for processes of the same user\n"
        "  --folder=DIR     where layers are kept (default: $STATE_DIRECTORY)\n"
        "  --runtime=DIR    tells this service from another one (default: $RUNTIME_DIRECTORY, or DIR/run)\n"
        "  --config=FILE    limits (default: " SYSCONFDIR "/build.conf)\n"
        "  --version, --help\n";

static const RootlessProgram program = { .name = "pipeline-buildd", .usage = usage_text };

static int read_config(const RootlessOptions *options, BuildConfig *ret)
{
        _cleanup_free_ char *error = NULL;
        int r = settings_read(&build_settings, options->config ?: SYSCONFDIR "/build.conf", ret, &error);

        if (r > 0)
                log_error("%s", error);
        else if (r < 0)
                (void) log_errno(r, "Cannot read the configuration");
        return r > 0 ? -EINVAL : r;
}

static int serve(const RootlessOptions *options, const BuildConfig *config, const Identity *identity)
{
        _cleanup_free_ char *folder = NULL, *runtime = NULL;
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(manager_done) Manager manager = {};
        int doors[ORDER_DOORS_MAX], r;
        ManagerOptions manager_options = { .doors = doors, .by_hand = !getenv("NOTIFY_SOCKET") };

        r = rootless_find_folders(options->folder, options->runtime, &folder, &runtime);
        if (r < 0)
                return r;
        manager_options.folder = folder;
        manager_options.runtime = runtime;
        r = rootless_find_doors(options->socket, ORDER_DOORS_MAX, doors, &manager_options.n_doors);
        if (r < 0)
                return log_errno(r, "No socket to listen on: start pipeline-build.socket, or give --socket");
        r = daemon_event_new(NULL, NULL, &event);
        if (r < 0)
                return log_errno(r, "Cannot make an event loop");
        r = manager_init(&manager, event, &manager_options, config, identity);
        if (r < 0)
                return log_errno(r, "Cannot start");
        _cleanup_(daemon_notify_stop) _unused_ const char *stop = daemon_notify_ready();
        return sd_event_loop(event);
}

int main(int argc, char **argv)
{
        RootlessOptions options;
        Identity identity;
        BuildConfig config;
        int r;

        log_open(program.name);
        r = rootless_parse_options(&program, argc, argv, &options);
        if (r > 0)
                return r - 1;
        if (read_config(&options, &config) < 0 || rootless_enter("pipeline-build.socket", &identity) < 0)
                return EXIT_FAILURE;
        return serve(&options, &config, &identity) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

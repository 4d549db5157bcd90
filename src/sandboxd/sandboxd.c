/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pipeline-sandboxd: runs guests in sandboxes for workers, and keeps the images that these are made of. Who
 * asks it has the network; this has none. */

#include "manager.h"

#include "rootless/service.h"
#include "shared/log.h"

static const char usage_text[] =
        "usage: pipeline-sandboxd [--socket=PATH] [--folder=DIR] [--runtime=DIR] [--config=FILE] "
        "[--init=FILE]\n"
        "\n"
        "Runs guests in sandboxes for the pipeline's workers. As a service it gets its socket and folders\n"
        "from systemd. By hand it wants --socket and --folder, and a systemd user manager.\n"
        "\n"
        "  --socket=PATH    listen here, for processes of the same user\n"
        "  --folder=DIR     where the images are kept (default: $STATE_DIRECTORY)\n"
        "  --runtime=DIR    where running sandboxes are kept (default: $RUNTIME_DIRECTORY, or DIR/run)\n"
        "  --config=FILE    limits (default: " SYSCONFDIR "/sandbox.conf)\n"
        "  --init=FILE      the first process of containers (default: " PKGLIBEXECDIR "/pipeline-init)\n"
        "  --version, --help\n";

static int serve(const Service *service)
{
        _cleanup_(manager_done) Manager manager = {};
        int r = manager_init(&manager, service);

        return r < 0 ? log_errno(r, "Cannot start") : service_loop(service);
}

static const ServiceProgram program = {
        .name = "pipeline-sandboxd",
        .usage = usage_text,
        .own_option = "init",
        .socket_unit = "pipeline-sandbox.socket",
        .config_file = SYSCONFDIR "/sandbox.conf",
        .settings = &sandbox_settings,
        .serve = serve,
};

int main(int argc, char **argv)
{
        return service_main(&program, argc, argv);
}

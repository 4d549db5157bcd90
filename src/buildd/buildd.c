/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pipeline-buildd: builds images for pipeline-builder, which has the network and the keys. It has neither.
 */

#include "manager.h"

#include "rootless/service.h"
#include "shared/log.h"

static const char usage_text[] =
        "usage: pipeline-buildd [--socket=PATH] [--folder=DIR] [--runtime=DIR] [--config=FILE]\n"
        "\n"
        "Builds container images for pipeline-builder, without a network or a secret. As a service it gets\n"
        "its socket and folders from systemd. By hand it wants --socket and --folder, and a systemd user "
        "manager.\n"
        "\n"
        "  --socket=PATH    listen here, for processes of the same user\n"
        "  --folder=DIR     where layers are kept (default: $STATE_DIRECTORY)\n"
        "  --runtime=DIR    tells this service from another one (default: $RUNTIME_DIRECTORY, or DIR/run)\n"
        "  --config=FILE    limits (default: " SYSCONFDIR "/build.conf)\n"
        "  --version, --help\n";

static int serve(const Service *service)
{
        _cleanup_(manager_done) Manager manager = {};
        int r = manager_init(&manager, service);

        return r < 0 ? log_errno(r, "Cannot start") : service_loop(service);
}

static const ServiceProgram program = {
        .name = "pipeline-buildd",
        .usage = usage_text,
        .socket_unit = "pipeline-build.socket",
        .config_file = SYSCONFDIR "/build.conf",
        .settings = &build_settings,
        .serve = serve,
};

int main(int argc, char **argv)
{
        return service_main(&program, argc, argv);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* G: network, and sockets of the host. */

#include "guest.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stddef.h>
#include <sys/un.h>

#define MEETING_PORT 7777

static int to_ipv4(int type, const char *address, uint16_t port)
{
        struct sockaddr_in there = { .sin_family = AF_INET, .sin_port = htons(port) };
        int s = socket(AF_INET, type, 0);

        (void) inet_pton(AF_INET, address, &there.sin_addr);
        return connect(s, (struct sockaddr *) &there, sizeof(there));
}

static int to_ipv6(int type, const char *address, uint16_t port)
{
        struct sockaddr_in6 there = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
        int s = socket(AF_INET6, type, 0);

        (void) inet_pton(AF_INET6, address, &there.sin6_addr);
        return connect(s, (struct sockaddr *) &there, sizeof(there));
}

static int outside(void)
{
        TRY("tcp", to_ipv4(SOCK_STREAM, "93.184.216.34", 80));
        TRY("udp", to_ipv4(SOCK_DGRAM, "8.8.8.8", 53));
        TRY("tcp6", to_ipv6(SOCK_STREAM, "2001:4860:4860::8888", 443));
        TRY("udp6", to_ipv6(SOCK_DGRAM, "2001:4860:4860::8888", 53));
        TRY("ping", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
        TRY("local_net", to_ipv4(SOCK_STREAM, "192.168.1.1", 80));
        note("links",
             if_nametoindex("lo") == 1 && if_nametoindex("eth0") == 0 && if_nametoindex("host0") == 0);
        return finish();
}

static int metadata(void)
{
        TRY("ipv4", to_ipv4(SOCK_STREAM, "169.254.169.254", 80));
        TRY("containers", to_ipv4(SOCK_STREAM, "169.254.170.2", 80));
        TRY("ipv6", to_ipv6(SOCK_STREAM, "fd00:ec2::254", 80));
        return finish();
}

static int to_abstract(const char *name)
{
        struct sockaddr_un there = { .sun_family = AF_UNIX };
        int s = socket(AF_UNIX, SOCK_STREAM, 0);
        socklen_t size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));

        (void) strcpy(there.sun_path + 1, name);
        return connect(s, (struct sockaddr *) &there, size);
}

static int abstract_names(void)
{
        FILE *f = fopen("/proc/net/unix", "r");
        int n = -1;

        for (char line[512]; f && fgets(line, sizeof(line), f);)
                n++;
        TRY("host", to_abstract("hostile-host"));
        TRY("x11", to_abstract("/tmp/.X11-unix/X0"));
        note("seen", n);
        return finish();
}

static int services(void)
{
        TRY("router", to_ipv4(SOCK_STREAM, "127.0.0.1", 5555));
        TRY("other_run", to_ipv4(SOCK_STREAM, "127.0.0.1", MEETING_PORT));
        TRY("router6", to_ipv6(SOCK_STREAM, "::1", 5555));
        return finish();
}

static int socket_files(void)
{
        static const char *const paths[] = { "/run/systemd/private",
                                             "/run/dbus/system_bus_socket",
                                             "/run/systemd/journal/stdout",
                                             "/run/docker.sock",
                                             "/run/pipeline/router.sock",
                                             "/run/pipeline/sandbox.sock",
                                             "/run/user",
                                             "/var/run/docker.sock" };

        for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
                TRY(paths[i], access(paths[i], F_OK));
        return finish();
}

/* Listens, and leaves a child behind that goes on listening. */
static int listeners(void)
{
        struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons(MEETING_PORT) };
        int s = socket(AF_INET, SOCK_STREAM, 0);

        TRY("bind", bind(s, (struct sockaddr *) &here, sizeof(here)));
        TRY("listen", listen(s, 1));
        TRY("own", to_ipv4(SOCK_STREAM, "127.0.0.1", MEETING_PORT));
        if (fork() == 0)
                wait_for_the_end();
        sleep_milliseconds(1000);
        return finish();
}

const Case cases_g[] = {
        { "G1", outside },        { "G2", metadata },     { "G3", abstract_names }, { "G4", services },
        { "G4-both", listeners }, { "G5", socket_files }, { "G6", listeners },      {},
};

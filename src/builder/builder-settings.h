/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where sources are, and what builds may take: the EnvironmentFile of the unit, pipeline-builder.conf(5).
 * What a builder has in common with a worker is in WorkerSettings. */

#include "proto/build-plan.h"

#define BUILD_SOCKET_DEFAULT "/run/pipeline/build.sock"
#define DOCKERFILE_DEFAULT   "Dockerfile"

typedef struct BuilderSettings {
        char *sources[_CHANNEL_MAX];     /* templates of repositories' addresses; NULL: not said */
        char *dockerfile;                /* its path in the repository */
        char *socket;                    /* of the build service */
        char *ssh_key, *ssh_known_hosts; /* files; or NULL */
        char *base_auth;                 /* containers-auth.json(5) for base images; or NULL */
        char **base_hosts; /* HOST[:PORT]s that they may come from; NULL: any but this machine */
        bool base_tls;
        bool network;       /* whether steps may reach public web servers */
        BuildLimits limits; /* the time is the router's to say */
} BuilderSettings;

/* Both give 0, -ENOMEM, or SETTINGS_BAD with what is wrong: a new string. The variables are SOURCE,
 * SOURCE_CHANNEL for each channel, DOCKERFILE, BUILD_SOCKET, SSH_KEY, SSH_KNOWN_HOSTS, BASE_AUTH,
 * BASE_HOSTS, BASE_TLS, BUILD_NETWORK, BUILD_MEMORY, BUILD_PROCESSES, BUILD_CPU, BUILD_LOG, BUILD_DISK,
 * IMAGE_SIZE; `lookup` is getenv(), or a test's. */
int builder_settings_init(BuilderSettings *settings, char *(*lookup)(const char *name),
                          char **ret_error) _warn_unused_;
void builder_settings_done(BuilderSettings *settings);

/* The address of a track's repository, a new string: the template with {track}, {channel} and {suffix}
 * (test-runner, analyzer, representer) replaced. SETTINGS_BAD where no template is set,
 * or where it comes to too long an address. */
int builder_source(const BuilderSettings *settings, Channel channel, const char *track, char **ret,
                   char **ret_error) _warn_unused_;

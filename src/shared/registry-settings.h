/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where images come from, and builds go to: the embedded registry, a folder of OCI layouts; or a registry
 * that speaks the OCI distribution protocol. Pure: texts to a struct, each checked before it may become part
 * of an address or of a command line. */

#include "basic/macro.h"
#include "basic/time-util.h"

typedef struct RegistrySettings {
        char *address;      /* as it was said */
        char *folder;       /* of the embedded registry; NULL: another one, at `host` */
        char *host;         /* HOST[:PORT] */
        char *path;         /* of repositories: may hold {channel} and {track} */
        bool is_repository; /* `path` is the whole name of one */
        bool is_plain;      /* http */
        bool has_tls_setting;
        char *auth_file;    /* containers-auth.json(5); NULL: nobody in particular asks */
        char *ca_file;      /* PEM; NULL: the system's authorities */
        char **token_hosts; /* HOST[:PORT]s beside `host` that may be shown the password for a token */
        uint64_t size_max;  /* of an image, as it is sent */
        usec_t stall_usec;  /* nothing came for so long: it is given up */
        usec_t time_usec;   /* for an image as a whole */
} RegistrySettings;

/* The credential that the units hand over, and the place of the settings' default. */
#define REGISTRY_CREDENTIAL "pipeline.registry"

/* All give 0, -ENOMEM, or REGISTRY_BAD with what is wrong: a new string. */
enum {
        REGISTRY_BAD = 1,
};

/* The embedded registry in its own folder. */
int registry_settings_init(RegistrySettings *settings) _warn_unused_;
void registry_settings_done(RegistrySettings *settings);

/* An absolute path, or docker://HOST[:PORT][/PATH]. */
int registry_settings_set_address(RegistrySettings *settings, const char *text,
                                  char **ret_error) _warn_unused_;
/* The variables REGISTRY, REGISTRY_REPOSITORY, REGISTRY_AUTH, REGISTRY_CA, REGISTRY_TLS,
 * REGISTRY_TOKEN_HOSTS, REGISTRY_SIZE_MAX, REGISTRY_STALL_TIME, REGISTRY_TIME_MAX; without REGISTRY_AUTH the
 * credential REGISTRY_CREDENTIAL in CREDENTIALS_DIRECTORY, where that is a file. `lookup` is getenv(), or a
 * test's. An empty variable is not set. */
int registry_settings_from_environment(RegistrySettings *settings, char *(*lookup)(const char *name),
                                       char **ret_error) _warn_unused_;
/* The same variables with their values, NULL-ended, for another process; the caller's. */
int registry_settings_to_environment(const RegistrySettings *settings, char ***ret) _warn_unused_;

/* The repository of a track, as it stands in addresses: PATH with its {channel} and {track} replaced, or
 * where it has no {track}: PATH/CHANNEL/TRACK; or PATH as it is. REGISTRY_BAD where no repository can have
 * that name. */
int registry_repository(const RegistrySettings *settings, const char *channel, const char *track, char **ret,
                        char **ret_error) _warn_unused_;

/* HOST[:PORT] names this machine itself: localhost, 127.x.x.x or [::1]. */
bool registry_host_is_loopback(const char *host);

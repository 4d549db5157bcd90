/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who this worker is and where it finds the others. In order: what the command line says, what the
 * environment says (the EnvironmentFile of its unit), what follows from its name. */

#include "s3-uri.h"

#include "proto/name.h"
#include "shared/key-file.h"
#include "shared/registry-settings.h"

typedef struct WorkerSettings {
        char *name;
        Channel channel; /* builders: it is a builder's */
        char **topics;   /* tracks; NULL: generic */
        uint64_t slots;
        char *router;   /* ZeroMQ address, without channel and topics */
        char *key_file; /* or NULL */
        KeyFile key;    /* what was in it; without a secret where there is none */
        char *folder;   /* lock, outcomes */
        RegistrySettings registry;
        char *images;         /* folder that images are fetched to */
        char *sandbox;        /* path of the sandbox socket */
        char **input_folders; /* absolute: inputs may lie below these */
        S3Settings s3;
        bool wants_s3; /* a setting, or credentials, say so */
} WorkerSettings;

#define WORKER_SLOTS_MAX 64U

#define WORKER_ROUTER_DEFAULT       "ipc:///run/pipeline/router.sock"
#define WORKER_SANDBOX_DEFAULT      "/run/pipeline/sandbox.sock"
#define WORKER_INPUT_FOLDER_DEFAULT "/var/lib/pipeline/input"

/* All give 0, -ENOMEM, or SETTINGS_BAD with what is wrong: a new string. */
enum {
        SETTINGS_BAD = 1,
};

/* The name must be a slug; sets it and what follows from it: the channel `test_runners`, and the track,
 * which is the name without the -N at its end (`ruby-1`: ruby); `any` is every track. The rest gets its
 * default. */
int settings_init(WorkerSettings *settings, const char *name, char **ret_error) _warn_unused_;
/* The same for a builder: of the channel `builders`, and for every track unless TOPICS says otherwise. */
int settings_init_builder(WorkerSettings *settings, const char *name, char **ret_error) _warn_unused_;
void settings_done(WorkerSettings *settings);

/* The variables CHANNEL, TOPICS, SLOTS, ROUTER, ROUTER_KEY, SANDBOX, INPUT_FOLDERS, STATE_DIRECTORY,
 * CACHE_DIRECTORY, S3_REGION (or AWS_REGION, AWS_DEFAULT_REGION), S3_ENDPOINT, S3_ADDRESSING,
 * S3_ALLOW, S3_OBJECT_SIZE_MAX, and those of the registry; `lookup` is getenv(), or a test's. An empty
 * one is not set. */
int settings_from_environment(WorkerSettings *settings, char *(*lookup)(const char *name),
                              char **ret_error) _warn_unused_;

/* An address of the form tcp://HOST:PORT/CHANNEL[?topic=T&topic=U] or ipc:///PATH/CHANNEL[?…]. Without a
 * topic the worker is generic. */
int settings_from_address(WorkerSettings *settings, const char *address, char **ret_error) _warn_unused_;

/* Where it is relative, below the current folder: 0, or -errno. */
int settings_set_folder(WorkerSettings *settings, const char *folder) _warn_unused_;
int settings_set_slots(WorkerSettings *settings, const char *text, char **ret_error) _warn_unused_;
/* Reads the key for the router, where a file is named; else the unit's credential, where it is not empty. */
int settings_read_key(WorkerSettings *settings, char **ret_error) _warn_unused_;
/* Replaces a text. */
int settings_set(char **place, const char *text) _warn_unused_;

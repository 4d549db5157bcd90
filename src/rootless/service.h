/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A service that runs untrusted programs without root, from its command line to its end: its settings, its
 * identity, its folders, its sockets, its event loop. What it does there is the program's. */

#include "identity.h"
#include "order-server.h"
#include "settings-file.h"

/* What a program runs with. All borrowed, for as long as it does. */
typedef struct Service {
        sd_event *event;
        const void *config;       /* the settings, in the struct of the program's table */
        const Identity *identity; /* its namespace has been entered */
        const char *folder;       /* to keep things in; like the next, it exists */
        const char *runtime;      /* for what runs; tells this service from another one */
        const char *own;          /* the value of the program's own option; NULL: not given */
        int doors[ORDER_DOORS_MAX];
        size_t n_doors; /* listening sockets, for order_server_start() to take over */
        bool by_hand;   /* nobody waits for a user manager to come: without one the daemon ends */
} Service;

typedef struct ServiceProgram {
        const char *name, *usage;
        const char *own_option;  /* beside those that all have; NULL: none */
        const char *socket_unit; /* what starts it; named to who starts it otherwise */
        const char *config_file; /* where --config= names no other */
        const SettingsTable *settings;
        /* Makes what the service is made of, calls service_loop(), frees it all. */
        int (*serve)(const Service *service);
} ServiceProgram;

/* main(): reads --socket=, --folder=, --runtime=, --config= and the program's own option; reads the
 * settings; enters the namespace, before it reads anything from anybody; serves. Says what is wrong. */
int service_main(const ServiceProgram *program, int argc, char **argv);
/* Ready, until the event loop ends. */
int service_loop(const Service *service) _warn_unused_;

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether a daemon takes orders: with a user manager to make scopes in, and with a kernel that enforces
 * their limits, or an administrator who does without. systemctl status says so. */

#include "scope.h"

typedef struct Fitness {
        sd_event *event;           /* borrowed */
        const char *work;          /* what it takes: "jobs" */
        bool allows_unenforced;    /* the administrator does */
        bool limits_enforced;      /* known once it is fit */
        char problem[128];         /* "": it is fit */
        sd_event_source *patience; /* for a user manager to come */
} Fitness;

/* Unfit: there is no user manager yet. `by_hand`: nobody waits for one to come; without it the loop ends. */
int fitness_init(Fitness *fitness, sd_event *event, const char *work, bool allows_unenforced,
                 bool by_hand) _warn_unused_;
void fitness_done(Fitness *fitness);

/* The user manager came or went. Unfit either way, until fitness_check(). */
void fitness_on_manager(Fitness *fitness, bool is_there);
/* Looks at the manager's controllers: fit where they enforce what they must. */
void fitness_check(Fitness *fitness, const ScopeManager *scopes);
/* Something else is wrong, until fitness_check(). */
void fitness_lose(Fitness *fitness, const char *format, ...) _printf_(2, 3);
/* Why it takes nothing, borrowed; NULL: it does. */
const char *fitness_problem(const Fitness *fitness);

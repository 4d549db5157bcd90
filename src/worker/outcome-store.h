/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Outcomes that the router has not acknowledged yet, one file each in a folder of the worker's own: a worker
 * that is killed, or a router that restarts, loses none. They survive processes, not a loss of power (no
 * fsync: a job can be run again, and its latency is what users see). */

#include "outcome-frames.h"

typedef struct OutcomeStore OutcomeStore;

#define OUTCOMES_MAX          64U
#define OUTCOMES_AGE_USEC_MAX (3600 * USEC_PER_SEC)

/* Opens the folder (made where missing) below `folder`, and forgets what is too old or cannot be read. */
int outcome_store_new(const char *folder, OutcomeStore **ret) _warn_unused_;
OutcomeStore *outcome_store_free(OutcomeStore *store);
DEFINE_CLEANUP(OutcomeStore *, outcome_store_free)

/* Keeps it; where OUTCOMES_MAX are kept, the oldest goes. */
int outcome_store_put(OutcomeStore *store, const OutcomeText *text) _warn_unused_;
/* Forgets it; whether it was there is not said. */
void outcome_store_remove(OutcomeStore *store, const char *job, const char *token);
/* Forgets what is too old. */
void outcome_store_expire(OutcomeStore *store);

size_t outcome_store_size(const OutcomeStore *store);
/* The id of the i-th, oldest first; borrowed. */
const char *outcome_store_job(const OutcomeStore *store, size_t i);
/* Reads the i-th. OUTCOME_BAD where the file is not what was written. */
int outcome_store_get(const OutcomeStore *store, size_t i, OutcomeText *ret) _warn_unused_;

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Rows and columns for people: columns as wide as they must be, a bold head. */

#include "ctl.h"

typedef struct CtlTable {
        size_t n_columns;
        char **cells; /* owned; the head's first */
} CtlTable;

void ctl_table_done(CtlTable *table);
/* A row, of `n_columns` texts, which are copied (NULL is "-"). The first one is the head. What a peer wrote
 * is made safe for terminals. */
int ctl_table_add(CtlTable *table, const char *const *texts) _warn_unused_;
/* Prints it; nothing where there is no row but the head. */
void ctl_table_print(const Ctl *ctl, const CtlTable *table);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the router asks about the registry: which digest a version has, and what there is. */

#include "proto/peer-message.h"

/* The answer, or in it why there is none; 0 or -ENOMEM. */
int registry_resolve(const char *registry, const Query *query, Answer *ret) _warn_unused_;
int registry_list(const char *registry, const Query *query, Answer *ret) _warn_unused_;

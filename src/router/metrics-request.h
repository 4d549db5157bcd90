/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a scraper asks, as far as it came. Pure. */

#include "basic/macro.h"

#define METRICS_REQUEST_SIZE_MAX 4096U

/* 0 while its empty line has not come; else the status of its answer, of HTTP: 200 the metrics, 400 it is no
 * request, 404 there is no such page, 405 it is no GET, 431 the empty line did not come within
 * METRICS_REQUEST_SIZE_MAX. What follows the empty line changes nothing. */
unsigned metrics_request_parse(const char *data, size_t size) _warn_unused_;

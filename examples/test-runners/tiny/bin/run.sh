#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# run.sh SLUG IN/ OUT/: every solution passes. The least that a test runner does.

echo '{"version": 2, "status": "pass", "message": null, "tests": []}' >"$3/results.json"

#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# run.sh SLUG IN/ OUT/: runs the tests of the exercise that lies in IN/ and writes OUT/results.json. Ends with 0
# whenever it wrote one, whatever the tests said.

# Solutions are text in UTF-8, and so is what is said of them, whatever the container's locale is.
LC_ALL=C.UTF-8
export LC_ALL
exec ruby --disable=did_you_mean,error_highlight "$(dirname "$0")/../lib/run.rb" "$@"

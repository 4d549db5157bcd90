# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Trials: programs in a machine that lasts no longer than the shell that began it, however that ends; the sum of
# several. Wants common.sh.
#
# SIGTERM and SIGHUP have no trap here: bash would let the program in the machine come to its end first. Without one it
# ends at once, by way of its EXIT trap.

RUN_TESTS=(python3 /pipeline/tests/run.py)
N_PASSED=0 N_FAILED=0

# trial_begin NAME [START-OPTION…]: a machine of this shell's own, stopped when the shell ends or is ended
trial_begin() {
        MACHINE=$1-$$
        trap 'end_children; "$PROJECT/tools/machine" stop --name "$MACHINE"' EXIT
        trap 'exit 130' INT
        "$PROJECT/tools/machine" start --name "$MACHINE" "${@:2}"
}

# trial_run CMD…: a command in it, as root
trial_run() { trial_run_as root "$@"; }

# trial_run_as USER CMD…
trial_run_as() { "$PROJECT/tools/machine" run --name "$MACHINE" --user "$1" -- "${@:2}"; }

# trial_tests FOLDER [NAME…]: the tests of a folder below tests/ in it
trial_tests() { trial_run "${RUN_TESTS[@]}" "/pipeline/tests/$1" "${@:2}"; }

# vm_command SECONDS CMD…: a command in a virtual machine, which ends with this shell as well
vm_command() {
        trap end_children EXIT
        "$PROJECT/tools/machine" vm --timeout "$1" -- "${@:2}"
}

# vm_tests SECONDS FOLDER [NAME…]: the tests of a folder below tests/ in a virtual machine
vm_tests() { vm_command "$1" "${RUN_TESTS[@]}" "/pipeline/tests/$2" "${@:3}"; }

# tally CMD…: runs it in a shell of its own and shows what it says. Its last line, `N passed, N failed`, goes to PASSED
# and FAILED, and is added to the sum; one that broke, or has no such line, is one failure.
tally() {
        local log status
        log=$(mktemp)
        trap 'end_children; rm -f "$log"' EXIT
        trap 'exit 130' INT
        set +e # not `||`, which would take it from CMD as well
        (set -e; "$@") 2>&1 | (trap '' INT TERM HUP; exec tee "$log") # what CMD says of its end is shown too
        status=${PIPESTATUS[0]}
        set -e
        trap - EXIT INT
        read -r PASSED _ FAILED _ < <(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1) || true
        rm -f "$log"
        PASSED=${PASSED:-0} FAILED=${FAILED:-1}
        [ "$status" = 0 ] || [ "$FAILED" != 0 ] || FAILED=1
        N_PASSED=$((N_PASSED + PASSED)) N_FAILED=$((N_FAILED + FAILED))
}

# tally_end: the sum, in the same words; fails where something did, or nothing passed
tally_end() {
        echo "$N_PASSED passed, $N_FAILED failed"
        [ "$N_FAILED" = 0 ] && [ "$N_PASSED" != 0 ]
}

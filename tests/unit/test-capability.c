/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a process may still do, as the kernel tells it. Each case runs in a child, for it gives up what this
 * process needs; it is root of a user namespace of its own, or where that is not allowed, just root. */

#include "basic/capability-util.h"
#include "basic/io-util.h"
#include "basic/string-util.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define STATUS_SIZE_MAX (64U * 1024U)

/* A bit in each of the two words that the kernel's sets have. */
#define LOW  CAPABILITY(CAP_SETUID)
#define HIGH CAPABILITY(CAP_BPF)

static uint64_t set_of(const char *name)
{
        _cleanup_free_ char *status = NULL, *line = string_format("\n%s:\t", name);
        const char *found;

        if (!line || read_file_at(AT_FDCWD, "/proc/self/status", STATUS_SIZE_MAX, &status, NULL) < 0)
                abort();
        found = strstr(status, line);
        return found ? strtoull(found + strlen(line), NULL, 16) : UINT64_MAX;
}

static bool sets_are(uint64_t permitted, uint64_t inheritable, uint64_t ambient)
{
        return set_of("CapPrm") == permitted && set_of("CapEff") == permitted &&
               set_of("CapInh") == inheritable && set_of("CapAmb") == ambient;
}

/* What there is to keep: in a container, root may not have HIGH. */
static uint64_t some(void)
{
        return set_of("CapPrm") & (LOW | HIGH);
}

static void check_in_child(bool (*is_right)(void))
{
        pid_t child = fork();
        int status;

        if (child == 0) {
                if (unshare(CLONE_NEWUSER) < 0 && geteuid() != 0)
                        _exit(2);
                _exit(is_right() ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
}

static bool keep_some(void)
{
        uint64_t kept = some(), bounding = set_of("CapBnd");

        return capability_keep(kept) == 0 && sets_are(kept, 0, 0) && set_of("CapBnd") == bounding;
}

static bool keep_none(void)
{
        return capability_keep(0) == 0 && sets_are(0, 0, 0) && capability_keep(LOW) == -EPERM &&
               sets_are(0, 0, 0);
}

static bool bound_to_some(void)
{
        uint64_t kept = some(), permitted = set_of("CapPrm");

        return capability_bound(kept) == 0 && set_of("CapBnd") == kept && sets_are(permitted, 0, 0) &&
               capability_bound(0) == 0 && set_of("CapBnd") == 0;
}

static bool bound_without_the_right_to(void)
{
        uint64_t bounding = set_of("CapBnd");

        return capability_keep(LOW) == 0 && capability_bound(0) == -EPERM && set_of("CapBnd") == bounding;
}

static bool hand_on(void)
{
        uint64_t permitted = set_of("CapPrm"), rights = some();

        return capability_hand_on(LOW) == 0 && sets_are(permitted, LOW, LOW) &&
               capability_hand_on(rights) == 0 && sets_are(permitted, rights, rights);
}

static bool hand_on_what_is_not_there(void)
{
        return capability_keep(0) == 0 && capability_hand_on(LOW) == -EPERM && sets_are(0, 0, 0);
}

static bool what_was_handed_on_is_given_up(void)
{
        return capability_hand_on(LOW) == 0 && capability_keep(LOW) == 0 && sets_are(LOW, 0, 0);
}

static void what_is_kept_is_all_there_is(void **state)
{
        check_in_child(keep_some);
        check_in_child(keep_none);
}

static void what_is_bounded_is_gone_for_good(void **state)
{
        check_in_child(bound_to_some);
        check_in_child(bound_without_the_right_to);
}

static void what_is_handed_on_reaches_programs(void **state)
{
        check_in_child(hand_on);
        check_in_child(hand_on_what_is_not_there);
        check_in_child(what_was_handed_on_is_given_up);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_kept_is_all_there_is),
                cmocka_unit_test(what_is_bounded_is_gone_for_good),
                cmocka_unit_test(what_is_handed_on_reaches_programs),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

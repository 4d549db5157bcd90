# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What all tools share: messages, the cache folder, locks, build folders, and Debian packages by section of
# packaging/dependencies.

# A failing command ends a tool in a substitution as well.
shopt -s inherit_errexit

PROJECT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CACHE=${PIPELINE_CACHE:-/var/cache/pipeline-tools}

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

need_root() { [ "$(id -u)" = 0 ] || die "this needs root: sudo $0 $*"; }

# packages_of SECTION…: the package names below these headings of packaging/dependencies
packages_of() {
        local section
        for section in "$@"; do
                awk -v want="[$section]" '
                        /^#/ || NF == 0 { next }
                        /^\[/           { here = ($1 == want); found += here; next }
                        here            { print $1 }
                        END             { exit !found }' "$PROJECT/packaging/dependencies" ||
                        die "packaging/dependencies has no section [$section]"
        done | sort -u
}

package_is_installed() {
        [ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null)" = 'ii ' ]
}

# packages_ensure SECTION…: install what is missing on this host
packages_ensure() {
        local name missing=()
        for name in $(packages_of "$@"); do
                package_is_installed "$name" || missing+=("$name")
        done
        [ ${#missing[@]} -gt 0 ] || return 0
        need_root "$@"
        say "installing ${missing[*]}"
        (
                flock 9
                apt_run update
                apt_run install -y --no-install-recommends "${missing[@]}"
        ) 9>"$(lock_file apt)"
}

# apt_run ARG…: apt-get without questions; its output is shown only when it fails
apt_run() {
        local log
        log=$(mktemp)
        if ! DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1 </dev/null; then
                cat "$log" >&2
                rm -f "$log"
                die "apt-get $1 failed"
        fi
        rm -f "$log"
}

lock_file() {
        mkdir -p "$CACHE/lock"
        printf '%s/lock/%s' "$CACHE" "$1"
}

# meson_folder FOLDER OPTION…: a build folder of this tree. Another clone may have used it: meson keeps one source
# folder for a build folder.
meson_folder() {
        [ "$(cat "$1/source" 2>/dev/null)" != "$PROJECT" ] || return 0
        rm -rf "$1"
        meson setup "${@:2}" "$1" "$PROJECT"
        echo "$PROJECT" >"$1/source"
}

# key_of: 16 hexadecimal digits of what stdin holds
key_of() { sha256sum | cut -c1-16; }

# cache_prune GLOB KEEP: drop all cached folders that match, but the KEEP used last
cache_prune() {
        local path
        # The names are our own: no white space in them.
        # shellcheck disable=SC2012,SC2086
        ls -1dt "$CACHE"/$1 2>/dev/null | tail -n +$(($2 + 1)) | while read -r path; do
                [ -e "$path.busy" ] || rm -rf --one-file-system "$path"
        done
}

# end_children: for an EXIT trap, where what was started must not outlive who started it
end_children() { pkill -TERM -P $BASHPID || true; }

seconds_since() { echo $(($(date +%s) - $1)); }

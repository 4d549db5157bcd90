# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The Debian 12 root that the machine and the vm boot: made once by mmdebstrap from the host's own Debian sources,
# then only ever used as the lower layer of an overlay.

ROOT_SUITE=bookworm
ROOT_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# debian_sources: the host's apt sources that are Debian's, known by the keyring that signs them, in deb822 form
debian_sources() {
        local file
        for file in /etc/apt/sources.list.d/*.sources; do
                [ -e "$file" ] || continue
                awk -v RS= -v keyring="$ROOT_KEYRING" '$0 ~ "Signed-By: *" keyring { print $0 "\n" }' "$file"
        done
        awk -v keyring="$ROOT_KEYRING" -v suite="$ROOT_SUITE" '
                $1 == "deb" && ($0 ~ keyring || $2 !~ /^\[/) {
                        line = $0
                        sub(/^deb +(\[[^]]*\] +)?/, "", line)
                        n = split(line, part, " ")
                        if (index(part[2], suite) != 1)
                                next
                        components = ""
                        for (i = 3; i <= n; i++)
                                components = components " " part[i]
                        printf "Types: deb\nURIs: %s\nSuites: %s\nComponents:%s\nSigned-By: %s\n\n",
                                part[1], part[2], components, keyring
                }' /etc/apt/sources.list 2>/dev/null || true
}

# debian_acquire_options: how the host's apt reaches its sources (proxy, date checks), as apt.conf lines
debian_acquire_options() { apt-config dump | grep -E '^Acquire::(http|https|Check-|Retries)' || true; }

root_packages() { packages_of root root-depends; }

root_key() {
        { root_packages; debian_sources; cat "$PROJECT/tools/lib/root.sh"; } | key_of
}

# root_path: where the root of today's settings lies in the cache, made already or not
root_path() { printf '%s/root-%s' "$CACHE" "$(root_key)"; }

root_build() {
        local target=$1 work=$1.partial options sources
        options=$(mktemp) sources=$(mktemp)
        debian_acquire_options >"$options"
        debian_sources >"$sources"
        [ -s "$sources" ] || die "no Debian sources (signed by $ROOT_KEYRING) in /etc/apt: cannot make a root"
        rm -rf --one-file-system "$work"
        say "making a Debian root (once) in $target"
        mmdebstrap --quiet --variant=important --mode=root --aptopt="$options" \
                --aptopt='Apt::Install-Recommends "false"' \
                --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
                --dpkgopt='path-exclude=/usr/share/info/*' \
                --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/pipeline*' \
                --include="$(root_packages | paste -sd,)" \
                "$ROOT_SUITE" "$work" - <"$sources" >&2 || die "mmdebstrap failed"
        rm -f "$options" "$sources"
        root_settle "$work"
        mv "$work" "$target"
}

# root_settle ROOT: no questions at boot, no daily chores, a name; what differs from a fresh Debian
root_settle() {
        local root=$1 unit
        echo pipeline >"$root/etc/hostname"
        printf '127.0.0.1 localhost pipeline\n::1 localhost\n' >"$root/etc/hosts"
        : >"$root/etc/machine-id"
        rm -f "$root/etc/resolv.conf"
        mkdir -p "$root/var/log/journal" "$root/pipeline"
        for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
                e2scrub_reap.service fstrim.timer systemd-networkd.service systemd-resolved.service; do
                ln -sf /dev/null "$root/etc/systemd/system/$unit"
        done
}

# root_ensure: make the root if need be; prints its path
root_ensure() {
        local target
        target=$(root_path)
        mkdir -p "$CACHE"
        (
                flock 9
                [ -d "$target" ] || { packages_ensure machine >&2; root_build "$target"; }
                touch "$target"
        ) 9>"$(lock_file root)" || exit 1
        printf '%s\n' "$target"
}

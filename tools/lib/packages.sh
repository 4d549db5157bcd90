# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Our Debian packages: built in a copy of the tree, kept under the hash of what they were made from; and the root
# with them installed, kept as one more layer above the root.

PACKAGE_SOURCES=(meson.build meson_options.txt src units sysusers.d tmpfiles.d profiles catalog man
        shell-completion examples docs README.md NEWS.md LICENSES packaging/debian)

package_files() {
        (cd "$PROJECT" && find "${PACKAGE_SOURCES[@]}" -type f ! -name '*.pyc' -print0 2>/dev/null | sort -z)
}

packages_key() {
        (cd "$PROJECT" && package_files | xargs -0 sha256sum) | key_of
}

# packages_ensure_built: build the packages unless these very sources were; prints the folder with the .debs
packages_ensure_built() {
        local target
        target=$CACHE/packages-$(packages_key)
        (
                flock 9
                [ ! -d "$target" ] || { touch "$target"; exit 0; }
                packages_ensure build package >&2
                packages_build "$target"
                cache_prune 'packages-*' 5
        ) 9>"$(lock_file packages)" || exit 1
        printf '%s\n' "$target"
}

packages_build() {
        local target=$1 work=$CACHE/package-build began
        began=$(date +%s)
        say "building the packages"
        rm -rf "$work"
        mkdir -p "$work/pipeline"
        (cd "$PROJECT" && package_files | xargs -0 cp --parents -t "$work/pipeline")
        mv "$work/pipeline/packaging/debian" "$work/pipeline/debian"
        if ! (cd "$work/pipeline" && DEB_BUILD_OPTIONS=noautodbgsym dpkg-buildpackage -us -uc -b >"$work/log" 2>&1 </dev/null); then
                tail -n 25 "$work/log" >&2
                die "dpkg-buildpackage failed; its whole output is in $work/log"
        fi
        rm -rf "$work/pipeline"
        mv "$work" "$target"
        say "built the packages in $(seconds_since "$began") s"
}

# layer_ensure SECTION: the root with the packages of a section that only one part of the tests needs; prints the
# layers of an overlay, topmost first
layer_ensure() {
        local section=$1 root target
        root=$(root_ensure)
        target=$CACHE/layer-$section-$({ echo "$root"; packages_of "$section"; declare -f layer_build; } | key_of)
        (
                flock 9
                [ ! -d "$target" ] || { touch "$target"; exit 0; }
                say "making the layer $section of the machine (once)"
                layer_build "$root" "$section" "$target.partial"
                mv "$target.partial/upper" "$target"
                rm -rf --one-file-system "$target.partial"
                cache_prune "layer-$section-*" 2
        ) 9>"$(lock_file "layer-$section")" || exit 1
        printf '%s:%s\n' "$target" "$root"
}

# layer_build ROOT SECTION OUT: install with the root's own apt, from the sources that it was made from; what is
# installed is there, but nothing of it is started when the machine boots
layer_build() {
        local root=$1 section=$2 out=$3
        rm -rf --one-file-system "$out"
        mkdir -p "$out"/{upper,work,merged}
        debian_acquire_options >"$out/acquire"
        # shellcheck disable=SC2016,SC2046
        unshare --mount bash -euc '
                root=$1 out=$2
                shift 2
                mount -t overlay layer -o "lowerdir=$root,upperdir=$out/upper,workdir=$out/work" "$out/merged"
                mount -t proc proc "$out/merged/proc"
                mount --bind /dev "$out/merged/dev"
                mount -t tmpfs tmpfs "$out/merged/run"
                for file in resolv.conf hosts; do
                        [ ! -e "/etc/$file" ] || cp -L "/etc/$file" "$out/merged/run/$file"
                done
                [ ! -e "$out/merged/run/resolv.conf" ] || ln -s /run/resolv.conf "$out/merged/etc/resolv.conf"
                cp "$out/acquire" "$out/merged/run/acquire"
                printf "#!/bin/sh\nexit 101\n" >"$out/merged/usr/sbin/policy-rc.d"
                chmod +x "$out/merged/usr/sbin/policy-rc.d"
                chroot_apt() {
                        APT_CONFIG=/run/acquire DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin \
                                chroot "$out/merged" apt-get -q -o APT::Sandbox::User=root "$@"
                }
                chroot_apt update
                chroot_apt install -y --no-install-recommends "$@"
                chroot_apt clean
                rm -rf "$out/merged/usr/sbin/policy-rc.d" "$out/merged/etc/resolv.conf" "$out"/merged/var/lib/apt/lists/*
        ' layer_build "$root" "$out" $(packages_of "$section") >"$out/log" 2>&1 </dev/null || {
                tail -n 40 "$out/log" >&2
                die "the packages of [$section] do not install into the root"
        }
        rm -rf "$out"/upper/etc/systemd/system/*.wants "$out"/upper/etc/rc?.d
}

# installed_ensure [SECTION]: the root, or that layer of it, with our packages; prints the layers of an overlay,
# topmost first
installed_ensure() {
        local root debs target
        if [ -n "${1:-}" ]; then root=$(layer_ensure "$1"); else root=$(root_ensure); fi
        debs=$(packages_ensure_built)
        target=$CACHE/installed-$(echo "$root" "$debs" | key_of)
        (
                flock 9
                [ ! -d "$target" ] || { touch "$target"; exit 0; }
                installed_build "$root" "$debs" "$target.partial"
                mv "$target.partial/upper" "$target"
                rm -rf --one-file-system "$target.partial"
                cache_prune 'installed-*' 5
        ) 9>"$(lock_file installed)" || exit 1
        printf '%s:%s\n' "$target" "$root"
}

# installed_build ROOT DEBS OUT: install with the root's own apt, as on a machine that is not booted
installed_build() {
        local root=$1 debs=$2 out=$3
        rm -rf --one-file-system "$out"
        mkdir -p "$out"/{upper,work,merged}
        # shellcheck disable=SC2016
        unshare --mount bash -euc '
                mount -t overlay install -o "lowerdir=$1,upperdir=$3/upper,workdir=$3/work" "$3/merged"
                mount -t proc proc "$3/merged/proc"
                mount --bind /dev "$3/merged/dev"
                mount -t tmpfs tmpfs "$3/merged/run"
                mkdir "$3/merged/run/packages"
                mount --bind "$2" "$3/merged/run/packages"
                DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$3/merged" \
                        sh -c "apt-get install -q -y --no-install-recommends /run/packages/*.deb"
        ' installed_build "$root" "$debs" "$out" >"$out/log" 2>&1 </dev/null || {
                tail -n 40 "$out/log" >&2
                die "the packages do not install (a dependency that packaging/dependencies does not name?)"
        }
}

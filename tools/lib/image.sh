# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The image of the Ruby test runner. Wants common.sh and root.sh.

RUBY_RUNNER=$PROJECT/examples/test-runners/ruby

# ruby_image_ensure: its tar, made once from Debian's packages; prints its path
ruby_image_ensure() {
        local target options sources
        target=$CACHE/image-ruby-$({ find "$RUBY_RUNNER/bin" "$RUBY_RUNNER/lib" "$RUBY_RUNNER/build" -type f \
                -exec sha256sum {} +; debian_sources; } | key_of).tar
        (
                flock 9
                [ ! -e "$target" ] || { touch "$target"; exit 0; }
                packages_ensure machine >&2
                options=$(mktemp) sources=$(mktemp --suffix=.sources)
                trap 'rm -f "$options" "$sources"' EXIT
                debian_acquire_options >"$options"
                debian_sources >"$sources"
                "$RUBY_RUNNER/build" "$target" --aptopt="$options" "$sources" >&2 || exit 1
                cache_prune 'image-ruby-*' 2
        ) 9>"$(lock_file image-ruby)" || die "the image of the Ruby test runner cannot be made"
        printf '%s\n' "$target"
}

# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Machines: an overlay over the cached root, booted by systemd-nspawn with its own network namespace and cgroup.
# All of a machine NAME lies in $MACHINES/NAME (small files) and $CACHE/machines/NAME (what it writes); stopping it
# removes both, its mount, its cgroups and its processes, and nothing else.

MACHINE_BOOT_SECONDS=60
MACHINE_PORT=5555
MACHINES=/run/pipeline-tools

machine_state() { printf '%s/%s' "$MACHINES" "$1"; }
machine_disk() { printf '%s/machines/%s' "$CACHE" "$1"; }

machine_check_name() {
        [[ $1 =~ ^[a-z][a-z0-9-]{0,30}$ ]] || die "a machine's name is a-z, 0-9 and '-', at most 31 characters: '$1'"
}

# machine_leader NAME: the process that is PID 1 of the machine; fails when it does not run
machine_leader() {
        local pid
        pid=$(cat "$(machine_state "$1")/leader" 2>/dev/null) || return 1
        [ -n "$pid" ] && [ -d "/proc/$pid" ] || return 1
        printf '%s\n' "$pid"
}

machine_is_running() { machine_leader "$1" >/dev/null; }

# machine_cgroups NAME: the machine's own group in each hierarchy that systemd uses
machine_cgroups() {
        local base
        if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
                printf '/sys/fs/cgroup/pipeline-tools-%s\n' "$1"
                return
        fi
        for base in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
                [ -d "$base" ] && printf '%s/pipeline-tools-%s\n' "$base" "$1"
        done
}

machine_cgroups_remove() {
        local group
        for group in $(machine_cgroups "$1"); do
                [ -d "$group" ] || continue
                [ ! -e "$group/cgroup.kill" ] || echo 1 >"$group/cgroup.kill"
                for _ in {1..50}; do
                        find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && break
                        sleep 0.1
                done
        done
}

# machine_mount NAME LOWER: the machine's root, an overlay of LOWER (colon separated, topmost first)
machine_mount() {
        local state disk
        state=$(machine_state "$1") disk=$(machine_disk "$1")
        mkdir -p "$disk/upper" "$disk/work" "$state/root"
        mount -t overlay "pipeline-$1" -o "lowerdir=$2,upperdir=$disk/upper,workdir=$disk/work" "$state/root"
}

# machine_admit_no_limits NAME: hybrid hosts keep the controllers of memory, processes and CPU to themselves
machine_admit_no_limits() {
        local conf
        for conf in "$(machine_state "$1")"/root/etc/pipeline/{sandbox,build}.conf; do
                [ ! -f "$conf" ] || echo 'UnenforcedLimits=yes' >>"$conf"
        done
}

# machine_spawn NAME [NSPAWN-OPTION…]: start systemd-nspawn in the machine's cgroups, in the background
machine_spawn() {
        local name=$1 state group
        shift
        state=$(machine_state "$name")
        (
                for group in $(machine_cgroups "$name"); do
                        mkdir -p "$group"
                        echo "$BASHPID" >"$group/cgroup.procs"
                done
                export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_NSPAWN_LOCK=0
                exec setsid systemd-nspawn --quiet --boot --console=pipe --machine="$name" --hostname=pipeline \
                        --directory="$state/root" --bind-ro="$PROJECT:/pipeline" --private-network \
                        --register=no --keep-unit --system-call-filter=@keyring \
                        --resolv-conf=off --timezone=off --link-journal=no "$@" \
                        </dev/null >"$state/console" 2>&1 8>&- 9>&-
        ) &
        echo $! >"$state/nspawn"
}

# machine_find_leader NAME: wait for the child of nspawn that is the machine's PID 1, and note it
machine_find_leader() {
        local state nspawn child children
        state=$(machine_state "$1")
        nspawn=$(cat "$state/nspawn")
        for _ in {1..100}; do
                [ -d "/proc/$nspawn" ] || return 1
                read -ra children <"/proc/$nspawn/task/$nspawn/children" || true
                for child in "${children[@]}"; do
                        if [ "$(cat "/proc/$child/comm" 2>/dev/null)" = systemd ]; then
                                echo "$child" >"$state/leader"
                                return 0
                        fi
                done
                sleep 0.05
        done
        return 1
}

# machine_enter NAME CMD…: run a command in all namespaces of the machine, outside its units
machine_enter() {
        local leader
        leader=$(machine_leader "$1") || die "machine $1 does not run"
        shift
        nsenter --target "$leader" --mount --uts --ipc --net --pid --cgroup --wd=/ -- \
                /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
                HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" "$@"
}

machine_wait_booted() {
        local state answer=
        for ((i = 0; i < MACHINE_BOOT_SECONDS * 10; i++)); do
                machine_is_running "$1" || break
                answer=$(machine_enter "$1" systemctl is-system-running 2>/dev/null) || true
                case $answer in running | degraded) return 0 ;; esac
                sleep 0.1
        done
        state=$(machine_state "$1")
        tail -n 40 "$state/console" >&2
        die "machine $1 did not boot within $MACHINE_BOOT_SECONDS s (state: ${answer:-unknown})"
}

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# machine_choose_port NAME: 5555 for the default machine, else the first free port above
machine_choose_port() {
        local port=$MACHINE_PORT
        if [ "$1" = default ]; then
                port_is_free "$port" || die "port $port of 127.0.0.1 is taken: stop what listens there, or use --name"
        else
                for ((port = MACHINE_PORT + 1; port < MACHINE_PORT + 200; port++)); do
                        ! grep -qsx "$port" "$MACHINES"/*/port && port_is_free "$port" && break
                done
        fi
        printf '%s\n' "$port"
}

# machine_forward NAME: a port of the host's loopback leads to the router's port in the machine
machine_forward() {
        local state port leader
        state=$(machine_state "$1") leader=$(machine_leader "$1")
        port=$(machine_choose_port "$1")
        echo "$port" >"$state/port"
        setsid systemd-socket-activate -l "127.0.0.1:$port" nsenter --target "$leader" --net \
                /lib/systemd/systemd-socket-proxyd --connections-max=4096 "127.0.0.1:$MACHINE_PORT" \
                </dev/null >"$state/forward.log" 2>&1 8>&- 9>&- &
        echo $! >"$state/forward"
}

# machine_boot NAME LOWER [NSPAWN-OPTION…]: start a machine and wait until it is up; a failure leaves nothing behind
machine_boot() {
        local name=$1 lower=$2
        shift 2
        mkdir -p "$(machine_state "$name")"
        (
                flock -w 120 8 || die "machine $name is being started by somebody else"
                ! machine_is_running "$name" || exit 0
                machine_clean "$name"
                mkdir -p "$(machine_state "$name")"
                trap 'machine_clean "$name"' EXIT
                trap 'exit 130' INT TERM HUP
                machine_mount "$name" "$lower"
                machine_admit_no_limits "$name"
                machine_spawn "$name" "$@"
                machine_find_leader "$name" || { cat "$(machine_state "$name")/console" >&2; die "systemd-nspawn failed"; }
                machine_wait_booted "$name"
                machine_forward "$name"
                trap - EXIT
        ) 8>"$(lock_file "machine-$name")"
}

process_end() {
        local pid
        pid=$(cat "$1" 2>/dev/null) || return 0
        kill -"$2" "$pid" 2>/dev/null || return 0
        for _ in {1..100}; do
                [ -d "/proc/$pid" ] || return 0
                # A zombie whose parent has not looked yet is gone as well.
                ! grep -qs '^State:[[:space:]]Z' "/proc/$pid/status" || return 0
                sleep 0.1
        done
        return 1
}

# machine_clean NAME: end and remove all of a machine; nothing to do is fine
machine_clean() {
        local state disk
        state=$(machine_state "$1") disk=$(machine_disk "$1")
        process_end "$state/forward" TERM || true
        # SIGTERM to nspawn asks the machine to power off in an orderly way.
        process_end "$state/nspawn" TERM || process_end "$state/nspawn" KILL || true
        machine_cgroups_remove "$1"
        while mountpoint -q "$state/root"; do
                umount "$state/root" 2>/dev/null || umount -l "$state/root"
        done
        rm -rf --one-file-system "$disk" "$state"
}

machine_stop() {
        (
                flock -w 120 8 || die "machine $1 is being started by somebody else"
                machine_clean "$1"
        ) 8>"$(lock_file "machine-$1")"
}

# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The virtual machine: the machine's root as an ext4 image, the distribution's kernel, qemu. It exists for what the
# machine cannot show: cgroup v2 with all its controllers. It boots, runs one command, powers itself off. It is
# emulated even where the host could do better: nested KVM fails on too many hosts to build a verdict on.
#
# What goes in is a tar on the second disk (the project, and the command in .vm/); what comes out is the second
# serial line (the command's output) and the third (its exit status). The first is the console.

VM_MODULES='virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk'
VM_IMAGE_SIZE=6G
VM_MEMORY=3072

# vm_kernel_ensure: the unpacked kernel package; prints its folder (boot/vmlinuz-*, lib/modules/*)
vm_kernel_ensure() {
        local package target
        package=$(apt-cache show "$(packages_of kernel)" | awk '/^Depends:/ { print $2; exit }')
        target=$CACHE/kernel-${package#linux-image-}
        (
                flock 9
                [ ! -d "$target" ] || exit 0
                rm -rf "$target.partial"
                mkdir -p "$target.partial"
                cd "$target.partial"
                apt_run -o APT::Sandbox::User=root download "$package"
                dpkg-deb -x ./*.deb .
                rm ./*.deb
                depmod -b . "$(ls lib/modules)"
                mv "$target.partial" "$target"
        ) 9>"$(lock_file kernel)" || exit 1
        printf '%s\n' "$target"
}

# vm_initramfs KERNEL OUT: busybox, the disk's drivers and eight lines of shell
vm_initramfs() {
        local kernel=$1 out=$2 work module
        work=$(mktemp -d)
        mkdir -p "$work"/{bin,dev,proc,sys,root,modules}
        cp /bin/busybox "$work/bin/busybox"
        for module in $VM_MODULES; do
                cp "$(find "$kernel/lib/modules" -name "$module.ko" -print -quit)" "$work/modules/"
        done
        cat >"$work/init" <<INIT
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs none /dev
for module in $VM_MODULES; do /bin/busybox insmod /modules/\$module.ko; done
while [ ! -b /dev/vda ]; do /bin/busybox sleep 0.1; done
/bin/busybox mount -t ext4 /dev/vda /root
exec /bin/busybox switch_root /root /lib/systemd/systemd
INIT
        chmod +x "$work/init"
        (cd "$work" && find . | cpio -o -H newc --quiet) >"$out"
        rm -rf "$work"
}

# vm_layer DIR: what the image has beside the machine's root: the units that run the command
vm_layer() {
        local dir=$1 units=$1/etc/systemd/system unit
        mkdir -p "$units" "$dir/usr/local/sbin"
        for unit in dev-ttyS0.device serial-getty@ttyS0.service getty@tty1.service systemd-random-seed.service; do
                ln -sf /dev/null "$units/$unit"
        done
        cat >"$units/vm.target" <<'UNIT'
[Unit]
Description=One command in a virtual machine
Requires=multi-user.target
After=multi-user.target
Wants=vm-command.service
AllowIsolate=yes
UNIT
        cat >"$units/vm-command.service" <<'UNIT'
[Unit]
Description=The command
After=multi-user.target

[Service]
Type=exec
ExecStart=/usr/local/sbin/vm-command
LimitNOFILE=65536
UNIT
        cat >"$dir/usr/local/sbin/vm-command" <<'SH'
#!/bin/sh
stty -F /dev/ttyS1 raw -echo
tar -xf /dev/vdb -C /pipeline
cd /
HOME=/root LANG=C.UTF-8 sh /pipeline/.vm/command </dev/null >/dev/ttyS1 2>&1
echo "$?" >/dev/ttyS2
exec systemctl poweroff --force --force
SH
        chmod +x "$dir/usr/local/sbin/vm-command"
        printf '/dev/vda / ext4 defaults,noatime 0 0\n' >"$dir/etc/fstab"
}

# vm_image_ensure LOWER: an ext4 image of the overlay's LOWER folders; prints the folder with disk, initramfs, vmlinuz
vm_image_ensure() {
        local lower=$1 kernel target
        packages_ensure vm machine >&2
        kernel=$(vm_kernel_ensure)
        target=$CACHE/vm-$({ echo "$lower" "$kernel"; cat "$PROJECT/tools/lib/vm.sh"; } | key_of)
        (
                flock 9
                [ ! -d "$target" ] || { touch "$target"; exit 0; }
                say "making the disk of the virtual machine"
                vm_image_build "$lower" "$kernel" "$target.partial"
                mv "$target.partial" "$target"
                cache_prune 'vm-*' 2
        ) 9>"$(lock_file vm)" || exit 1
        printf '%s\n' "$target"
}

vm_image_build() {
        local lower=$1 kernel=$2 out=$3
        rm -rf "$out"
        mkdir -p "$out/layer" "$out/merged"
        vm_layer "$out/layer"
        vm_initramfs "$kernel" "$out/initramfs"
        cp "$kernel"/boot/vmlinuz-* "$out/vmlinuz"
        mkdir -p "$out/layer/usr/lib/modules"
        cp -a "$kernel"/lib/modules/* "$out/layer/usr/lib/modules/"
        # An overlay of read-only layers: exactly what the machine boots, seen as one tree.
        trap 'umount "$out/merged" 2>/dev/null' EXIT
        mount -t overlay vm -o "lowerdir=$out/layer:$lower" "$out/merged"
        truncate -s "$VM_IMAGE_SIZE" "$out/disk"
        mke2fs -q -F -t ext4 -O ^has_journal -E root_owner=0:0 -d "$out/merged" "$out/disk"
        umount "$out/merged"
        trap - EXIT
        rm -rf --one-file-system "$out/layer" "$out/merged"
}

# vm_input OUT CMD…: the tar on the second disk
vm_input() {
        local out=$1 work
        shift
        work=$(mktemp -d)
        mkdir "$work/.vm"
        printf '%q ' "$@" >"$work/.vm/command"
        tar -C "$PROJECT" --exclude=./.git --exclude='./build*' --owner=0 --group=0 -cf "$out" .
        tar -C "$work" --owner=0 --group=0 -rf "$out" .vm
        truncate -s %512 "$out"
        rm -rf "$work"
}

# vm_run LOWER SECONDS CMD…: boot, run the command, pass on its output; returns its exit status, 124 after SECONDS
vm_run() {
        local image seconds=$2 work status reader
        image=$(vm_image_ensure "$1")
        shift 2
        work=$(mktemp -d)
        trap 'end_children; rm -rf "$work"' EXIT
        vm_input "$work/input" "$@"
        mkfifo "$work/output"
        cat "$work/output" &
        reader=$!
        timeout --foreground -k 5 "$seconds" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m "$VM_MEMORY" \
                -nodefaults -no-user-config -display none -no-reboot \
                -kernel "$image/vmlinuz" -initrd "$image/initramfs" \
                -append 'console=ttyS0 quiet panic=-1 systemd.unit=vm.target systemd.show_status=0 random.trust_cpu=on' \
                -drive "file=$image/disk,if=virtio,format=raw,snapshot=on" \
                -drive "file=$work/input,if=virtio,format=raw,readonly=on" \
                -chardev "file,id=console,path=$work/console" -serial chardev:console \
                -chardev "file,id=output,path=$work/output" -serial chardev:output \
                -chardev "file,id=status,path=$work/status" -serial chardev:status </dev/null || true
        wait "$reader"
        status=$(tr -d '\r\n' <"$work/status")
        if [ -z "$status" ]; then
                tail -n 30 "$work/console" >&2
                say "the virtual machine ended without an answer (or within $seconds s had none)"
                status=124
        fi
        rm -rf "$work"
        trap - EXIT
        return "$status"
}

#!/bin/sh
# Runs a command in a virtual machine whose kernel has TIPC and vsock, for machines whose own has not, and ends with its
# exit code. The guest is a Debian kernel over this machine's files: it reads them, and what it writes is gone at its end.
#
#   crates/xtask/guest/run.sh COMMAND [ARGUMENT...]
#
# Needs Debian's qemu-system-x86, busybox-static and cpio; gets the kernel with apt-get, once, without installing it.
# GUEST_MEMORY is the guest's memory (4G), GUEST_PROCESSORS how many processors it has (2). It is emulated;
# GUEST_ACCELERATOR=kvm is quicker, where that works.
set -eu
[ $# -gt 0 ] || { echo "usage: $0 COMMAND [ARGUMENT...]" >&2; exit 2; }
for tool in qemu-system-x86_64 busybox cpio; do
  command -v "$tool" >/dev/null || {
    echo "$0: there is no $tool; it needs the packages qemu-system-x86, busybox-static and cpio" >&2
    exit 125
  }
done
here=$(cd "$(dirname "$0")" && pwd)
kept=${CARGO_TARGET_DIR:-$here/../../../target}/guest

# What comes before 9p is how the guest reaches the files of this machine.
modules="virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci netfs fscache 9pnet 9pnet_virtio 9p
  overlay udp_tunnel ip6_udp_tunnel tipc vsock vmw_vsock_virtio_transport_common vsock_loopback"

if [ ! -e "$kept/linux" ]; then
  rm -rf "$kept"
  mkdir -p "$kept/package" "$kept/files" "$kept/modules"
  package=$(apt-cache depends linux-image-amd64 | awk '$1 == "Depends:" { print $2; exit }')
  (cd "$kept/package" && apt-get download -q "$package") >&2
  dpkg -x "$kept"/package/*.deb "$kept/files"
  for module in $modules; do
    find "$kept/files/lib/modules" -name "$module.ko" -exec cp {} "$kept/modules/" \;
  done
  cp "$kept"/files/boot/vmlinuz-* "$kept/linux.part"
  mv "$kept/linux.part" "$kept/linux"
  rm -r "$kept/files" "$kept/package"
fi

# What the kernel unpacks into memory to begin with: a shell, the modules, and the command.
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir "$root/start" "$root/start/proc" "$root/start/dev" "$root/start/modules"
cp "$(command -v busybox)" "$here/init" "$root/start/"
for module in $modules; do
  cp "$kept/modules/$module.ko" "$root/start/modules/"
done
echo $modules >"$root/start/modules/order"
quoted() {
  for word; do
    printf "'%s' " "$(printf %s "$word" | sed "s/'/'\\\\''/g")"
  done
}
{
  export -p
  echo "cd $(quoted "$PWD")"
  echo "exec $(quoted "$@")"
} >"$root/start/command"
(cd "$root/start" && find . | cpio --quiet -o -H newc | gzip -1) >"$root/initrd"

accelerator=${GUEST_ACCELERATOR:-tcg}
status=0
qemu-system-x86_64 -machine accel="$accelerator" -cpu max -smp "${GUEST_PROCESSORS:-2}" -m "${GUEST_MEMORY:-4G}" \
  -nodefaults -no-user-config -display none -no-reboot -serial stdio \
  -kernel "$kept/linux" -initrd "$root/initrd" -append "console=ttyS0 quiet panic=-1 rdinit=/init" \
  -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
  -device isa-debug-exit,iobase=0xf4,iosize=1 </dev/null || status=$?
# An odd number is twice what was written to the port, and 1. The guest writes 1 more than the exit code.
if [ $((status % 2)) = 0 ] || [ $status = 1 ]; then
  echo "$0: the guest has come to no end of its own" >&2
  exit 125
fi
exit $((status / 2 - 1))

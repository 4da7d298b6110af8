#!/bin/bash
# get-emulator.sh FOLDER: Debian's static QEMU that runs programs of linux/arm64 on this machine. Needs apt and dpkg; no root.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/debian.sh"
W=$(mktemp -d); trap 'rm -rf "$W"' EXIT
mkdir -p "$W/debs" "$1"
debian_apt "$W" bookworm
(cd "$W/debs" && debian_get "$W" bookworm qemu-user-static)
dpkg-deb --fsys-tarfile "$W"/debs/*.deb | tar -x -C "$1" --strip-components=3 ./usr/bin/qemu-aarch64-static
chmod -R go+rX "$1"

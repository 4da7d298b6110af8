#!/bin/bash
# get-registry.sh FOLDER: unpack Debian's docker-registry into FOLDER, as a program and not as a service of this machine.
# Needs apt and dpkg; no root.
set -euo pipefail
F=$1
. "$(dirname "$(readlink -f "$0")")/debian.sh"
W=$(mktemp -d); trap 'rm -rf "$W"' EXIT
mkdir -p "$W/debs" "$F"
debian_apt "$W" bookworm
(cd "$W/debs" && debian_get "$W" bookworm docker-registry)
for d in "$W"/debs/*.deb; do
  dpkg-deb --fsys-tarfile "$d" | tar -x -C "$F" --exclude=./usr/share/doc --exclude=./usr/share/man; done
chmod -R go+rX "$F"

#!/bin/bash
# get-engine.sh FOLDER: unpack Debian's container engine (dockerd, containerd, runc, buildx) into FOLDER, beside whatever
# this machine has. Needs apt and dpkg; no root.
set -euo pipefail
F=$1
. "$(dirname "$(readlink -f "$0")")/debian.sh"
W=$(mktemp -d); trap 'rm -rf "$W"' EXIT
mkdir -p "$W/debs" "$F/docker/cli-plugins"
debian_apt "$W" trixie; debian_apt "$W" bookworm
# runc of the older release: a newer one wants a newer libc; the others run on Debian 12's
(cd "$W/debs" && debian_get "$W" trixie docker.io docker-cli docker-buildx containerd && debian_get "$W" bookworm runc tini)
for d in "$W"/debs/*.deb; do
  dpkg-deb --fsys-tarfile "$d" | tar -x -C "$F" --exclude=./usr/share/doc --exclude=./usr/share/man; done
mv "$F/usr/libexec/docker/cli-plugins/docker-buildx" "$F/docker/cli-plugins/"
chmod -R go+rX "$F"

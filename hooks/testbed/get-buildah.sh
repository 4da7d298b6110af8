#!/bin/bash
# get-buildah.sh FOLDER PREFIX: unpack Debian 12's Buildah into FOLDER, to be moved to PREFIX afterwards, beside whatever
# this machine has. The path of the libraries that it brings is written into it, hence PREFIX: it starts itself again
# without its environment. Needs patchelf, apt and dpkg; no root.
set -euo pipefail
F=$1 P=$2
. "$(dirname "$(readlink -f "$0")")/debian.sh"
W=$(mktemp -d); trap 'rm -rf "$W"' EXIT
mkdir -p "$W/debs" "$W/x" "$F/bin" "$F/lib"
debian_apt "$W" bookworm
(cd "$W/debs" && debian_get "$W" bookworm buildah libassuan0 libdevmapper1.02.1 libgpgme11 libseccomp2)
for d in "$W"/debs/*.deb; do dpkg-deb -x "$d" "$W/x"; done
cp -a "$W"/x/usr/bin/buildah "$F/bin/"
cp -a "$W"/x/lib/x86_64-linux-gnu/*.so.* "$W"/x/usr/lib/x86_64-linux-gnu/*.so.* "$F/lib/"
for b in "$F/bin/buildah" "$(readlink -f "$F/lib/libgpgme.so.11")"; do
  patchelf --force-rpath --set-rpath "$P/lib" "$b"; done
chmod -R go+rX "$F"

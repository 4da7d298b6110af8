#!/bin/bash
# get-apptainer.sh FOLDER PREFIX: unpack Debian's newest Apptainer into FOLDER, to be moved to PREFIX afterwards.
# It brings its own libc, since the newest package wants a newer one than this machine has; the path of that libc's
# loader is written into the programs, hence PREFIX. Needs patchelf, apt and dpkg; no root.
set -euo pipefail
F=$1 P=$2
. "$(dirname "$(readlink -f "$0")")/debian.sh"
W=$(mktemp -d); trap 'rm -rf "$W"' EXIT
debian_apt "$W" sid
mkdir -p "$W/debs" "$W/x" "$F/lib"
(cd "$W/debs" && debian_get "$W" sid apptainer libc6 libseccomp2 libsqlite3-0)
for d in libc6 libseccomp2 libsqlite3; do dpkg-deb -x "$W"/debs/$d*.deb "$W/x"; done
dpkg-deb -x "$W"/debs/apptainer_*.deb "$F"
L=$W/x/usr/lib/x86_64-linux-gnu
cp -a $L/ld-linux-x86-64.so.2 $L/lib{c,m}.so.6 $L/libresolv.so.2 $L/libpthread.so.0 $L/libdl.so.2 $L/libnss_*.so.2 \
  $L/libseccomp.so* $L/libsqlite3.so* "$F/lib/"
rm -rf "$F"/usr/share/{man,doc,bash-completion,lintian}
# relocated, apptainer looks for etc and var in <prefix>/usr (bin/) and in <prefix>/usr/lib (starter)
mv "$F/etc" "$F/usr/etc"; mv "$F/var" "$F/usr/var"; ln -s ../var "$F/usr/lib/var"; ln -s ../etc "$F/usr/lib/etc"
for b in usr/bin/apptainer usr/lib/x86_64-linux-gnu/apptainer/bin/starter; do
  patchelf --set-interpreter "$P/lib/ld-linux-x86-64.so.2" --force-rpath --set-rpath "$P/lib" "$F/$b"; done
for l in "$F"/lib/libsqlite3.so.0 "$F"/lib/libseccomp.so.2; do
  patchelf --force-rpath --set-rpath "$P/lib" "$(readlink -f "$l")"; done
# a root without all capabilities (in a container) cannot get "full"; without systemd there is no cgroup to ask it for
sed -i 's/^root default capabilities = full/root default capabilities = no/; s/^systemd cgroups = yes/systemd cgroups = no/' \
  "$F/usr/etc/apptainer/apptainer.conf"
ln -sf apptainer "$F/usr/bin/singularity"
chmod -R go+rX "$F"

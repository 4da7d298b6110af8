#!/bin/bash
# make-busybox.sh OUT.tar [ARCHITECTURE]: a root folder with nothing but a static busybox. Needs apt and dpkg; no root.
# The programs of another architecture than amd64 are named as amd64's, which can be asked for its list.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/debian.sh"
W=$(mktemp -d); trap 'rm -rf "$W"' EXIT
mkdir -p "$W/debs" "$W/x" "$W"/root/{bin,etc,proc,sys,dev,tmp,root,home,opt,srv,run,var/tmp,usr/bin}
debian_apt "$W" bookworm
(cd "$W/debs" && debian_get "$W" bookworm busybox-static)
dpkg-deb -x "$W"/debs/*.deb "$W/x"
cp "$W"/x/bin/busybox "$W/root/bin/busybox"
if [ "${2:-amd64}" != amd64 ]; then
  mkdir -p "$W/other/debs" "$W/other/x"
  debian_apt "$W/other" bookworm "$2"
  (cd "$W/other/debs" && debian_get "$W/other" bookworm busybox-static)
  dpkg-deb -x "$W"/other/debs/*.deb "$W/other/x"
  cp "$W"/other/x/bin/busybox "$W/root/bin/busybox"
fi
for a in $("$W/x/bin/busybox" --list); do [ "$a" = busybox ] || ln -s busybox "$W/root/bin/$a"; done
ln -s /bin/env "$W/root/usr/bin/env"
echo 'root:x:0:0:root:/root:/bin/sh' > "$W/root/etc/passwd"; echo 'root:x:0:' > "$W/root/etc/group"
# empty files, over which container engines mount the machine's own
touch "$W"/root/etc/{resolv.conf,hosts,localtime,nsswitch.conf}
chmod 1777 "$W/root/tmp" "$W/root/var/tmp"
tar -C "$W/root" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@${SOURCE_DATE_EPOCH:-0}" -cf "$1" .

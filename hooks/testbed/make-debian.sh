#!/bin/bash
# make-debian.sh OUT.tar: a minimal Debian 12 for amd64 with CA certificates, as root or as an ordinary user.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/debian.sh"
# the sources of the official image, whatever mirror this machine uses
sources='Types: deb\nURIs: http://deb.debian.org/debian\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By: %s\n\nTypes: deb\nURIs: http://deb.debian.org/debian-security\nSuites: bookworm-security\nComponents: main\nSigned-By: %s\n'
export SOURCES; SOURCES=$(printf "$sources" $DEBIAN_KEYRING $DEBIAN_KEYRING)
mmdebstrap --quiet --variant=minbase --architectures=amd64 --include=ca-certificates --format=tar \
  --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' --aptopt='Acquire::Retries "3"' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --customize-hook='rm -rf "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/etc/resolv.conf "$1"/etc/hostname "$1"/var/log/*' \
  --customize-hook='rm -f "$1"/etc/apt/sources.list; echo "$SOURCES" > "$1/etc/apt/sources.list.d/debian.sources"' \
  bookworm "$1" "deb [signed-by=$DEBIAN_KEYRING] $(debian_mirror) bookworm main"

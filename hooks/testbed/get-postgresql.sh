#!/bin/bash
# get-postgresql.sh FOLDER PREFIX: unpack Debian 12's PostgreSQL server into FOLDER, to be moved to PREFIX afterwards, as a
# program and not as a service of this machine. It finds its own files beside it; the path of the libraries that it
# brings (all but libc's) is written into it, hence PREFIX. Without LLVM, which compiles queries of hours. Needs
# patchelf, apt and dpkg; no root.
set -euo pipefail
F=$1 P=$2
. "$(dirname "$(readlink -f "$0")")/debian.sh"
W=$(mktemp -d); trap 'rm -rf "$W"' EXIT
mkdir -p "$W/debs" "$W/x" "$F/lib" "$F/usr/lib" "$F/usr/share"
debian_apt "$W" bookworm
(cd "$W/debs" && debian_get "$W" bookworm postgresql-15 libpq5 libaudit1 libcap-ng0 libcap2 libcom-err2 libffi8 libgcc-s1 \
  libgcrypt20 libgmp10 libgnutls30 libgpg-error0 libgssapi-krb5-2 libhogweed6 libicu72 libidn2-0 libk5crypto3 \
  libkeyutils1 libkrb5-3 libkrb5support0 libldap-2.5-0 liblz4-1 liblzma5 libnettle8 libp11-kit0 libpam0g libsasl2-2 \
  libssl3 libstdc++6 libsystemd0 libtasn1-6 libunistring2 libxml2 libzstd1 zlib1g)
for d in "$W"/debs/*.deb; do dpkg-deb -x "$d" "$W/x"; done
rm -rf "$W"/x/usr/lib/postgresql/15/lib/{bitcode,pgxs,llvmjit*}
mv "$W/x/usr/lib/postgresql" "$F/usr/lib/"; mv "$W/x/usr/share/postgresql" "$F/usr/share/"
cp -a "$W"/x/lib/x86_64-linux-gnu/*.so.* "$W"/x/usr/lib/x86_64-linux-gnu/*.so.* "$F/lib/"
for b in "$F"/usr/lib/postgresql/15/bin/{initdb,postgres}; do patchelf --force-rpath --set-rpath "$P/lib" "$b"; done
chmod -R go+rX "$F"

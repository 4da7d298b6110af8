#!/bin/bash
# install-packages.sh PACKAGE...: apt-get install as root, without starting the daemons that the packages bring.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
P=/usr/sbin/policy-rc.d MARK='# made by hpcwaas while it installs packages'
# a policy of the machine's own stays; ours goes, also one that an interrupted run left
if [ ! -e $P ] || grep -qF "$MARK" $P; then
  printf '#!/bin/sh\n%s\nexit 101\n' "$MARK" > $P; chmod 755 $P; trap 'rm -f $P' EXIT
fi
apt-get -qq -o DPkg::Lock::Timeout=300 update
apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"

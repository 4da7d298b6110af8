#!/bin/bash
# run-engine.sh TOOLS FOLDER: a private dockerd in mount and PID namespaces of its own, so that killing its first process
# ends containerd and every build with it, and no mount is left. FOLDER/daemon.json is its configuration. Needs root.
# FOLDER/keeper gets the process that holds the namespaces and when it started (ticks since boot).
set -eu
TOOLS=$1 F=$2
export PATH=$TOOLS/usr/bin:$TOOLS/usr/sbin:$PATH
s=$(cat /proc/$$/stat); s=(${s##*) })
echo "$$ ${s[19]}" > "$F/keeper.part"; mv "$F/keeper.part" "$F/keeper"
exec unshare -m -p -f --mount-proc --propagation private --kill-child \
  "$TOOLS/usr/bin/tini-static" -- dockerd --config-file "$F/daemon.json" < /dev/null > "$F/dockerd.log" 2>&1

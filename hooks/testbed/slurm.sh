# Slurm in a minihpc site; sourced by minihpc, whose settings (NAME, PORT, NODES, …) it reads.

configure_slurm() { # $1 = root of the site as the daemons see it; configures Slurm 20 to 24
  local R=$1 i user=root tmp=/tmp tracking version
  mkdir -p "$R/etc/slurm"
  [ "$PLAIN" = 1 ] && user=$(id -un) tmp=$R/tmp
  for i in $(seq "$NODES"); do mkdir -p "$R/tmp/n$i"; chmod 1777 "$R/tmp/n$i"; done
  # without cgroups there is nothing to delegate, so it works in any container; a job over its memory then
  # ends FAILED 0:9 instead of OUT_OF_MEMORY 0:125
  tracking=$'ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nJobAcctGatherType=jobacct_gather/linux\nJobAcctGatherParams=OverMemoryKill'
  [ "$CGROUP" = 1 ] && tracking=$'ProctrackType=proctrack/cgroup\nTaskPlugin=task/cgroup\nJobAcctGatherType=jobacct_gather/cgroup'
  {
    cat <<E
ClusterName=$NAME
SlurmctldHost=$(hostname)(127.0.0.1)
SlurmctldPort=$((PORT+1))
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$R/munge/munge.socket
CredType=cred/munge
StateSaveLocation=$R/state
SlurmdSpoolDir=$R/spool/%n
# "nodes" share the machine, and with it /tmp, but PMIx makes the same folder on each
TmpFS=$tmp/%n
SlurmctldPidFile=$R/run/slurmctld.pid
SlurmdPidFile=$R/run/slurmd.%n.pid
SlurmctldLogFile=$R/log/slurmctld.log
SlurmdLogFile=$R/log/slurmd.%n.log
$tracking
JobAcctGatherFrequency=task=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
# promise more cores and memory than the machine has
SlurmdParameters=config_overrides
PropagateResourceLimits=NONE
MpiDefault=none
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=30
KillWait=2
MinJobAge=300
InactiveLimit=0
DefMemPerCPU=500
EnforcePartLimits=ALL
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1
PriorityType=priority/multifactor
PriorityWeightQOS=1000
E
    if [ "$ACCT" = 1 ]; then cat <<E
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$((PORT+2))
AccountingStoragePass=$R/munge/munge.socket
AccountingStorageEnforce=associations,limits,qos
AccountingStoreFlags=job_comment
E
    else cat <<E
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$R/log/jobcomp.txt
E
    fi
    for i in $(seq "$NODES"); do
      echo "NodeName=n$i NodeHostname=$(hostname) NodeAddr=127.0.0.1 Port=$((PORT+10+i)) CPUs=$CPUS RealMemory=$MEM State=UNKNOWN"
    done
    echo "PartitionName=short Nodes=ALL Default=YES MaxTime=00:30:00 DefaultTime=00:10:00 State=UP"
    echo "PartitionName=long Nodes=ALL MaxTime=2-00:00:00 DefaultTime=01:00:00 State=UP"
  } > "$R/etc/slurm/slurm.conf"
  version=$(slurmctld -V)
  if [ "$CGROUP" = 1 ]; then
    printf 'CgroupPlugin=cgroup/v1\nCgroupMountpoint=/sys/fs/cgroup\nConstrainRAMSpace=yes\n' > "$R/etc/slurm/cgroup.conf"
  else
    # "disabled" is a word since 23.x, unknown and not needed before
    case $version in *\ 2[012].*) echo "CgroupAutomount=no";; *) echo "CgroupPlugin=disabled";; esac > "$R/etc/slurm/cgroup.conf"
  fi
  if [ "$ACCT" = 1 ]; then configure_slurmdbd "$R" "$user"; fi
  [ "$PLAIN" = 1 ] || { mount --bind "$R/etc/slurm" /etc/slurm; show_pmix "$R"; }
}

show_pmix() { # $1 = root of the site: `srun --mpi=pmix` loads libpmix.so, a name that only Debian's -dev package has
  local lib
  for lib in /usr/lib/*/pmix2/lib; do
    [ -e "$lib/libpmix.so.2" ] && [ ! -e "$lib/libpmix.so" ] || continue
    rm -rf "$1/pmix"; cp -a "$lib" "$1/pmix"; ln -s libpmix.so.2 "$1/pmix/libpmix.so"; mount --bind "$1/pmix" "$lib"
  done
}

configure_slurmdbd() { # $1 = root of the site, $2 = the user that the daemons run as
  ( umask 077; cat > "$1/etc/slurm/slurmdbd.conf" <<E
AuthType=auth/munge
AuthInfo=socket=$1/munge/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$((PORT+2))
SlurmUser=$2
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm_acct
LogFile=$1/log/slurmdbd.log
PidFile=$1/run/slurmdbd.pid
E
  )
}

start_accounting() { # $1 = root of the site
  local R=$1 i line user db=$1/db
  if [ ! -d "$db/mysql" ]; then
    mkdir -p "$db"
    mariadb-install-db --no-defaults --datadir="$db" --auth-root-authentication-method=normal --skip-test-db \
      --user="$(id -un)" --skip-name-resolve > "$R/log/mysql_install.log" 2>&1 || die "mariadb-install-db failed"
  fi
  setsid mariadbd --no-defaults --datadir="$db" --socket="$R/run/my.sock" --pid-file="$R/run/mariadbd.pid" \
    --skip-networking --skip-name-resolve --performance-schema=OFF --innodb-buffer-pool-size=64M \
    --innodb-log-file-size=8M --innodb-flush-log-at-trx-commit=0 --innodb-lock-wait-timeout=900 \
    --user="$(id -un)" --log-error="$R/log/mariadbd.log" > /dev/null 2>&1 < /dev/null &
  for i in $(seq 200); do [ -S "$R/run/my.sock" ] && break; sleep 0.05; done
  MYSQL_UNIX_PORT=$R/run/my.sock slurmdbd || die "slurmdbd did not start"
  for i in $(seq 200); do (exec 3<>/dev/tcp/127.0.0.1/$((PORT+2))) 2>/dev/null && break; sleep 0.05; done
  {
    echo "add cluster $NAME"
    echo "add qos high priority=100 maxjobsperuser=2"
    echo "add account lab description=lab organization=lab"
    for user in $USERS; do echo "add user $user account=lab qos=normal,high defaultqos=normal"; done
    echo "add user root account=lab"
  } | while read -r line; do sacctmgr -iQ $line < /dev/null >> "$R/log/sacctmgr.log" 2>&1; done
}

start_slurm() { # $1 = root of the site; returns when all nodes are ready for jobs
  local R=$1 i ready again=0
  mkdir -p "$R/run" "$R/log" "$R/state" "$R/spool" "$R/munge"; chmod 755 "$R" "$R/munge"
  ( umask 077; [ -s "$R/munge/munge.key" ] || head -c 1024 /dev/urandom > "$R/munge/munge.key" )
  munged --socket="$R/munge/munge.socket" --key-file="$R/munge/munge.key" --pid-file="$R/munge/munged.pid" \
    --log-file="$R/munge/munged.log" --seed-file="$R/munge/munged.seed" --force || die "munged did not start"
  if [ "$ACCT" = 1 ]; then start_accounting "$R"; else touch "$R/log/jobcomp.txt"; fi
  [ -e "$R/state/job_state" ] && again=1
  slurmctld || die "slurmctld did not start"
  # a node that lost its power has a later boot time, by which Slurm knows that its jobs are gone; ours have this machine's
  [ "$again" = 0 ] || scontrol update NodeName=ALL State=DOWN Reason=power || die "slurmctld does not answer"
  for i in $(seq "$NODES"); do slurmd -N "n$i" || die "slurmd of n$i did not start"; done
  for i in $(seq 400); do
    # not "idle": jobs that waited while the site was down may start at once
    ready=$(sinfo -h -N -p short -t idle,alloc,mix,comp -o '%N %t' 2>/dev/null | grep -vc '\*')
    [ "$ready" = "$NODES" ] && break
    sleep 0.05
  done
  [ "$ready" = "$NODES" ] || die "the nodes of $NAME did not become ready"
  # jobs that were running when the site went down start again; Slurm would have them wait for two minutes
  [ "$again" = 0 ] || for i in $(squeue -h -t PENDING -O 'JobID:20,RestartCnt:20' | awk '$2 > 0 {print $1}'); do
    scontrol update JobId="$i" StartTime=now; done
  # `sacct -c` opens it for writing; slurmctld makes it 644 when it starts
  [ "$ACCT" = 1 ] || chmod 666 "$R/log/jobcomp.txt"
}

save_slurm() { # ends slurmctld in order, upon which it saves its state; runs inside the site
  local p i; p=$(cat /run/site/run/slurmctld.pid 2>/dev/null) && kill "$p" 2>/dev/null || return 0
  for i in $(seq 250); do [ -d "/proc/$p" ] || break; sleep 0.02; done
}

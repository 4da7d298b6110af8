# Grid Engine in a minihpc site; sourced by minihpc, whose settings (NAME, PORT, NODES, …) it reads.

sge_environment() {
  export SGE_ROOT=/var/lib/gridengine SGE_CELL=default SGE_SINGLE_LINE=1
  export SGE_QMASTER_PORT=$((PORT+1)) SGE_EXECD_PORT=$((PORT+2))
}

configure_sge() { # $1 = root of the site
  local R=$1
  [ "$PLAIN" = 0 ] || die "Grid Engine needs namespaces"
  if [ ! -d "$R/sge" ]; then
    mkdir "$R/sge"; cp -a /var/lib/gridengine "$R/sge/lib"; cp -a /var/spool/gridengine "$R/sge/spool"
  fi
  mount --bind "$R/sge/lib" /var/lib/gridengine; mount --bind "$R/sge/spool" /var/spool/gridengine
  sge_environment
}

start_sge() { # $1 = root of the site; returns when the queue takes jobs
  local R=$1 i; local S=$R/sge/setup
  echo "$NAME" > /var/lib/gridengine/default/common/act_qmaster
  sge_qmaster > /dev/null || die "sge_qmaster did not start"
  for i in $(seq 100); do qconf -sh > /dev/null 2>&1 && break; sleep 0.1; done
  [ -d "$S" ] || { mkdir "$S"; define_sge "$S"; } > /dev/null
  sge_execd || die "sge_execd did not start"
  for i in $(seq 150); do qstat -f 2>/dev/null | grep -qE '^all.q@.*lx-amd64 *$' && return; sleep 0.1; done
  die "sge_execd did not become ready"
}

define_sge() { # $1 = folder for the files that qconf reads: one host, one queue, a parallel environment, fast polling
  local S=$1
  qconf -as "$NAME"
  printf '%s\n' "hostname $NAME" 'load_scaling NONE' 'complex_values NONE' 'user_lists NONE' 'xuser_lists NONE' \
    'projects NONE' 'xprojects NONE' 'usage_scaling NONE' 'report_variables NONE' > "$S/host"; qconf -Ae "$S/host"
  printf '%s\n' 'group_name @allhosts' "hostlist $NAME" > "$S/group"; qconf -Ahgrp "$S/group"
  printf '%s\n' 'pe_name smp' 'slots 999' 'user_lists NONE' 'xuser_lists NONE' 'start_proc_args /bin/true' \
    'stop_proc_args /bin/true' 'allocation_rule $pe_slots' 'control_slaves FALSE' 'job_is_first_task TRUE' \
    'urgency_slots min' 'accounting_summary FALSE' 'qsort_args NONE' > "$S/smp"; qconf -Ap "$S/smp"
  qconf -sq > "$S/queue"
  sed -i -e 's/^qname.*/qname all.q/; s/^hostlist.*/hostlist @allhosts/; s/^pe_list.*/pe_list smp/' \
    -e 's/^shell_start_mode.*/shell_start_mode unix_behavior/; s/^load_thresholds.*/load_thresholds NONE/' \
    -e "s/^slots.*/slots $((CPUS*NODES))/" "$S/queue"; qconf -Aq "$S/queue"
  qconf -ssconf | sed -e 's/^schedule_interval.*/schedule_interval 0:0:1/; s/^flush_submit_sec.*/flush_submit_sec 1/' \
    -e 's/^flush_finish_sec.*/flush_finish_sec 1/' > "$S/scheduler"; qconf -Msconf "$S/scheduler"
  qconf -sconf global | sed -e 's/^load_report_time.*/load_report_time 00:00:05/' \
    -e 's/^reporting_params.*/reporting_params accounting=true reporting=false flush_time=00:00:01 accounting_flush_time=00:00:00 joblog=false sharelog=00:00:00/' \
    > "$S/global"; qconf -Mconf "$S/global"
}

save_sge() { # has sge_qmaster save its state, up to the number of the last job; runs inside the site
  local i; touch /run/saving; sleep 0.1
  qconf -km > /dev/null 2>&1 || return 0
  # Debian's spins after that instead of ending
  for i in $(seq 100); do [ /var/spool/gridengine/qmaster/jobseqnum -nt /run/saving ] && break; sleep 0.1; done
}

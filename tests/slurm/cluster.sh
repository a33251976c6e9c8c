#!/usr/bin/env bash
# A real Slurm of one node, of Debian's packages, for the tests; no systemd, nothing of the system
# is configured, and whoever calls it needs not be root:
#
#     apt-get install -y --no-install-recommends slurm-wlm munge
#     tests/slurm/cluster.sh start FOLDER     # an empty folder, with a short path: a socket lies in it
#     SLURM_CONF=FOLDER/slurm.conf sinfo
#     tests/slurm/cluster.sh stop FOLDER
#
# One node with SLOTS cores (default: 2) that the machine need not have; nothing is accounted, so
# `sacct` knows nothing, as on many clusters. What the daemons say is in FOLDER/*.log.

set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin

main() { # start|stop FOLDER
    FOLDER=$(CDPATH='' cd -- "$2" && pwd)
    export SLURM_CONF=$FOLDER/slurm.conf
    case $1 in
    start) start ;;
    stop) stop ;;
    esac
}

start() {
    mkdir -p "$FOLDER/spool" "$FOLDER/state"
    chmod 755 "$FOLDER" # munged refuses a socket that others could not reach
    start_munge
    configure >"$SLURM_CONF"
    slurmctld -c
    slurmd -N node
    await
}

start_munge() {
    (umask 077 && head -c 128 /dev/urandom >"$FOLDER/munge.key")
    munged --force --num-threads=2 --key-file="$FOLDER/munge.key" --socket="$FOLDER/munge.socket" \
        --pid-file="$FOLDER/munged.pid" --log-file="$FOLDER/munged.log" --seed-file="$FOLDER/munge.seed"
}

configure() {
    local port
    port=$((20000 + RANDOM % 20000))
    cat <<CONF
ClusterName=tests
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$FOLDER/munge.socket,cred_expire=6
CredType=cred/munge
StateSaveLocation=$FOLDER/state
SlurmdSpoolDir=$FOLDER/spool
SlurmctldPidFile=$FOLDER/slurmctld.pid
SlurmdPidFile=$FOLDER/slurmd.pid
SlurmctldLogFile=$FOLDER/slurmctld.log
SlurmdLogFile=$FOLDER/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
JobRequeue=1
KillWait=10
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
NodeName=node NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 CPUs=${SLOTS:-2} State=UNKNOWN
PartitionName=tests Nodes=node Default=YES MaxTime=60 State=UP
CONF
}

await() {
    for _ in $(seq 60); do
        [ "$(sinfo -h -o %T 2>/dev/null)" = idle ] && return
        sleep 0.5
    done
    printf 'error: expected an idle node, found %s; see %s/*.log\n' "$(sinfo -h -o %T 2>&1)" "$FOLDER" >&2
    exit 1
}

stop() {
    local name
    scancel --user="$(id -un)" 2>/dev/null || true
    for name in slurmd slurmctld munged; do
        [ ! -s "$FOLDER/$name.pid" ] || kill "$(cat "$FOLDER/$name.pid")" 2>/dev/null || true
    done
}

main "$@"

#!/usr/bin/env bash
# A SLURM of one node on this machine, with its own keys, ports and files, until it is ended.
#
# usage: ./tests/tables/one_node.sh FOLDER
#
#   FOLDER  gets slurm.conf, the daemons' logs, and `bin` and `environment` for those who use it. Its
#           path must be shorter than 80 characters, for a socket lies there
#
# Prints `ready` once the node takes jobs. Needs munged, slurmctld and slurmd (Debian and Ubuntu: apt-get
# install slurm-wlm munge), no root, and nothing of an installed configuration.
#
# example: ./tests/tables/one_node.sh /tmp/slurm & . /tmp/slurm/environment; sinfo
set -euo pipefail
export PATH="$PATH:/usr/sbin:/usr/local/sbin"
[ "$#" = 1 ] || { sed -n -e '2,$ {' -e '/^#/!q' -e 's/^# \{0,1\}//p' -e '}' "$0" && exit 2; }
mkdir -p "$1"
folder="$(cd "$1" && pwd)" node="$(hostname -s)"
[ "${#folder}" -lt 80 ] || { echo "one_node.sh: error: the path $folder is too long" >&2 && exit 1; }
mkdir -p "$folder/bin" "$folder/state" "$folder/spool"
export SLURM_CONF="$folder/slurm.conf"
trap 'trap - TERM EXIT; jobs -p | xargs -r kill -TERM 2> /dev/null; wait' EXIT
trap 'exit 143' INT TERM HUP

port() { python3 -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])'; }
megabytes="$(awk '/^MemTotal/ {print int($2 / 1200)}' /proc/meminfo)"
cat > "$SLURM_CONF" << CONF
ClusterName=one-node
SlurmctldHost=$node(127.0.0.1)
SlurmctldPort=$(port)
SlurmdPort=$(port)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
ReturnToService=2
KillWait=5
MinJobAge=86400
NodeName=$node NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$megabytes
PartitionName=all Nodes=$node Default=YES
CONF

# Snakemake's job steps take SLURM_CONF from the environment of their srun: it is handed over here.
srun="$(command -v srun)"
cat > "$folder/bin/srun" << SRUN
#!/bin/sh
SLURM_CONF='$SLURM_CONF' exec '$srun' "\$@"
SRUN
chmod +x "$folder/bin/srun"
echo "export SLURM_CONF='$SLURM_CONF' PATH='$folder/bin':\"\$PATH\"" > "$folder/environment"

(umask 077 && head -c 1024 /dev/urandom > "$folder/munge.key")
munged --foreground --force --num-threads 2 --socket "$folder/munge.socket" \
    --key-file "$folder/munge.key" --pid-file "$folder/munge.pid" --seed-file "$folder/munge.seed" \
    --log-file "$folder/munged.log" > "$folder/munged.out" 2>&1 &
until [ -S "$folder/munge.socket" ]; do
    kill -0 "$!" || { cat "$folder/munged.out" >&2 && exit 1; }
    sleep 0.1
done
slurmctld -D > "$folder/slurmctld.log" 2>&1 &
controller="$!"
slurmd -D > "$folder/slurmd.log" 2>&1 &
until sinfo --noheader --format %t 2> /dev/null | grep -q idle; do
    if ! kill -0 "$!" || ! kill -0 "$controller"; then
        cat "$folder/slurmctld.log" "$folder/slurmd.log" >&2
        exit 1
    fi
    sleep 0.2
done
echo ready
wait

#!/usr/bin/env bash
# cluster.sh FOLDER IMAGE ACCOUNTING SHARED...
#
# A Slurm cluster in FOLDER for as long as standard input stays open: the machine `ctl` with
# slurmctld, slurmdbd and their database, and the nodes n1 to n4 with a slurmd each. When ACCOUNTING
# is `none` and not `slurmdbd`, there is no slurmdbd, and Slurm keeps no accounts. IMAGE, a tar file
# of image.py's, is what every container of theirs runs. The folders SHARED are seen by all
# nodes even if they lie in /tmp. Prints the environment that leads sbatch and the like to the
# cluster, one NAME=VALUE a line, then "ready".
#
# It then obeys what it reads, and says "ready" after each:
#   lose NODE        all processes of a node die, and it leaves the network
#   boot NODE        a lost node comes back
#   stop DAEMON      slurmctld or slurmdbd ends in good order
#   start DAEMON     and is started again
# Whatever fails ends the cluster. When standard input ends, or on a signal, all processes are
# killed, and mounts, network and FOLDER removed. So the cluster goes when the process that asked
# for it goes, however that ends.
#
# Each node has its own network: ctl holds a bridge that all are plugged into, and so is the machine
# itself, as NET.1, for the tests are its login node. No node has a route to anywhere else, and no
# firewall of the machine's stands between two nodes. The bridge has an address of its own: it would
# take the lowest of its ports', and when that node is lost nobody finds the controller for a while.
#
# How many seconds the controller's clock is ahead stands in FOLDER/clock, as clock.c reads it. The
# commands in FOLDER/bin tell the same time; sbatch and srun do not, for they would hand the library
# on to the job.
set -euo pipefail
readonly folder=$1 image=$2 accounting=$3
shift 3
readonly shared=("$@")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
export PATH=/usr/sbin:/usr/bin:/sbin:/bin SLURM_CONF=$folder/etc/slurm.conf
[[ -d $folder && -z $(ls -A "$folder") ]] || { echo "not an empty folder: $folder" && exit 2; }
declare -A machines=() # the process that waits for each machine's first one
link='' net=''

# The file appears, or the words become true, within 30 seconds; what the log says if not.
await() { # LOG COMMAND...
  local log=$folder/log/$1
  shift
  for ((tries = 0; tries < 600; tries++)); do
    ! "$@" >/dev/null 2>&1 || return 0
    sleep 0.05
  done
  echo "not true after 30 seconds: $*"
  tail -n 5 "$log" || true
  exit 1
}

inside() { # MACHINE COMMAND...: as a process of that machine
  nsenter --target "$(<"$folder/run/$1.node")" --net --uts --mount --pid "${@:2}"
}

machine() { # NAME: its namespaces, still without a network
  unshare --net --uts --mount --pid --fork --propagation slave \
    "$here/node.sh" "$folder" "$1" "${shared[@]}" </dev/null >>"$folder/log/$1" 2>&1 &
  machines[$1]=$!
  await "$1" test -e "$folder/run/$1.node"
}

# The first free one of 254 networks: who has made the interface has the network.
network() {
  local number pid
  machine ctl
  pid=$(<"$folder/run/ctl.node")
  for number in {1..254}; do
    net=10.213.$number link=evalc$number
    [[ -z $(ip -4 route show root "$net.0/24") ]] || continue
    ! ip link add "$link" type veth peer name machine netns "$pid" 2>/dev/null || break
    link=''
  done
  [[ -n $link ]] || { echo "no network is free" && exit 1; }
  ip address add "$net.1/24" dev "$link"
  ip link set "$link" up
  inside ctl ip -batch - <<IP
link set lo up
link add bridge address 02:00:00:00:00:02 type bridge
link set bridge up
address add $net.2/24 dev bridge
link set machine master bridge up
IP
}

boot() { # NODE
  machine "$1"
  # The process ids that ip is given are the machine's, so only the network is ctl's here.
  nsenter --target "$(<"$folder/run/ctl.node")" --net ip -batch - <<IP
link add $1 type veth peer name eth0 netns $(<"$folder/run/$1.node")
link set $1 master bridge up
IP
  inside "$1" ip -batch - <<IP
link set lo up
address add $net.1${1#n}/24 dev eth0
link set eth0 up
IP
  inside "$1" slurmd -N "$1" </dev/null >>"$folder/log/$1" 2>&1
}

lose() { # NODE
  kill -KILL "$(<"$folder/run/$1.node")"
  wait "${machines[$1]}" || true
  rm "$folder/run/$1.node"
}

start() { # DAEMON
  case $1 in
    slurmdbd)
      inside ctl slurmdbd </dev/null
      await slurmdbd sacctmgr --noheader list cluster
      ;;
    slurmctld)
      inside ctl env LD_PRELOAD="$folder/etc/clock.so" EVALC_CLOCK="$folder/clock" slurmctld \
        </dev/null
      await slurmctld answers
      ;;
  esac
}

answers() {
  [[ $(scontrol ping) == *" UP"* ]]
}

stop() { # DAEMON
  local pid
  pid=$(<"$folder/run/$1.pid")
  inside ctl kill -TERM "$pid"
  await "$1" gone "$pid"
}

gone() { # PID, of ctl's
  ! inside ctl kill -0 "$1" 2>/dev/null
}

configure() {
  mkdir -p "$folder"/{bin,dev,etc,image,log,munge,real,run,share,state}
  for name in n1 n2 n3 n4; do
    mkdir -p "$folder/nodes/$name/spool"
  done
  chmod 755 "$folder" "$folder/run" # munge and mariadbd look at them closely
  chmod 700 "$folder/munge"
  chmod 1777 "$folder/share"
  (umask 077 && head -c 128 /dev/urandom >"$folder/munge/key")
  head -c 8 /dev/zero >"$folder/clock"
  local command
  for command in sacct scontrol sinfo squeue; do
    cp "/usr/bin/$command" "$folder/real/$command"
    cat >"$folder/bin/$command" <<SH
#!/bin/sh
# Tells the controller's time.
LD_PRELOAD=$folder/etc/clock.so EVALC_CLOCK=$folder/clock exec $folder/real/$command "\$@"
SH
    chmod +x "$folder/bin/$command"
  done
  cp "$here/apptainer" "$folder/bin/apptainer" # it looks for the image from there
  for ((gpu = 0; gpu < 8; gpu++)); do
    mknod -m 666 "$folder/dev/gpu$gpu" c 1 3 # /dev/null under another name
  done
  tar -C "$folder/image" -xf "$image"
  local library
  for library in clock pyxis_stub; do
    gcc -shared -fPIC -O1 -Wall -Wextra -Werror -o "$folder/etc/$library.so" "$here/$library.c"
  done
}

# Once the network is known.
write_settings() {
  local file
  for file in slurm.conf slurmdbd.conf; do
    sed -e "s|@FOLDER@|$folder|g" -e "s|@NET@|$net|g" "$here/$file" >"$folder/etc/$file"
  done
  chmod 600 "$folder/etc/slurmdbd.conf"
  [[ $accounting == slurmdbd ]] || sed -i -e '/^AccountingStorage/d' "$folder/etc/slurm.conf"
  printf 'NodeName=n[1-4] Name=gpu File=%s\n' "$folder/dev/gpu[0-7]" >"$folder/etc/gres.conf"
  : >"$folder/etc/cgroup.conf"
  echo "required $folder/etc/pyxis_stub.so image=$folder/image" >"$folder/etc/plugstack.conf"
}

munge_up() {
  munged --key-file="$folder/munge/key" --socket="$folder/run/munge" \
    --pid-file="$folder/run/munged.pid" --log-file="$folder/log/munged" \
    --seed-file="$folder/munge/seed" --num-threads=4
  await munged munge --no-input --socket="$folder/run/munge"
}

make_database() { # takes two seconds, most of the start, so it runs beside the rest
  install -d -o mysql -g mysql "$folder/database" "$folder/run/database"
  mariadb-install-db --no-defaults --user=mysql --datadir="$folder/database" --skip-test-db \
    --auth-root-authentication-method=normal >"$folder/log/mariadb-install-db" 2>&1
}

database_up() {
  local client=(--no-defaults --socket="$folder/run/database/socket" --user=root)
  inside ctl mariadbd --no-defaults --user=mysql --datadir="$folder/database" \
    --socket="$folder/run/database/socket" --pid-file="$folder/run/database/pid" \
    --bind-address=127.0.0.1 --skip-name-resolve --performance-schema=OFF \
    --innodb-buffer-pool-size=256M --innodb-lock-wait-timeout=900 \
    --innodb-flush-log-at-trx-commit=0 </dev/null >"$folder/log/mariadbd" 2>&1 &
  await mariadbd mariadb-admin "${client[@]}" ping
  mariadb "${client[@]}" <<SQL
create database slurm;
create user slurm@127.0.0.1 identified by 'slurm';
grant all on slurm.* to slurm@127.0.0.1;
SQL
}

all_idle() {
  [[ $(sinfo --noheader --Node --partition batch --states idle --format %N | wc -l) == 4 ]]
}

end() {
  trap '' INT TERM HUP
  set +e
  exec >/dev/null 2>&1
  local file
  # The first process of each machine takes all others with it, and mounts and network with those.
  for file in "$folder"/run/*.node; do
    kill -KILL "$(<"$file")"
  done
  kill -TERM "$(<"$folder/run/munged.pid")"
  [[ -z $link ]] || ip link delete "$link"
  wait
  rm -rf "$folder"
}
trap end EXIT
trap 'exit 143' INT TERM HUP

umask 022
configure
database=''
if [[ $accounting == slurmdbd ]]; then
  make_database &
  database=$!
fi
echo '127.0.0.1 localhost' >"$folder/etc/hosts"
munge_up
network
# Rewritten in place: the nodes have this very file as their /etc/hosts.
printf '%s\n' "$net.1 login" "$net.2 ctl" "$net.11 n1" "$net.12 n2" "$net.13 n3" "$net.14 n4" \
  >>"$folder/etc/hosts"
write_settings
if [[ -n $database ]]; then
  wait "$database"
  database_up
  start slurmdbd
  # The controller would introduce itself, and accounting then miss the first jobs for seconds.
  sacctmgr --immediate add cluster evalc >/dev/null
fi
start slurmctld
for name in n1 n2 n3 n4; do
  boot "$name"
done
await slurmctld all_idle
printf '%s\n' "SLURM_CONF=$SLURM_CONF" ready
while read -r order name; do
  case $order in
    lose | boot | stop | start) "$order" "$name" ;;
    *) echo "no such order: $order" && exit 2 ;;
  esac
  echo ready
done

#!/usr/bin/env bash
# engine.sh docker|podman FOLDER IMAGE
#
# A private container engine in FOLDER for as long as standard input stays open, with IMAGE (a tar
# file of image.py's) in it as evalc-test:1. Prints the environment that leads `docker` or `podman`
# to it, one NAME=VALUE a line, then "ready". When standard input ends, or on a signal, it removes
# all containers, stops what it started, and removes mounts, control groups and FOLDER. So the
# engine goes when the process that asked for it goes, however that ends.
#
# By hand (Ctrl-D stops it), with a Python that has PyYAML:
#   python tests/testbed/image.py /tmp/image.tar
#   tests/testbed/engine.sh docker "$(mktemp -d)" /tmp/image.tar
#
# The docker daemon touches no iptables and makes no bridge: containers use --network host or none.
# It accepts --gpus, by a hook that does nothing, since no test has a GPU. podman's containers use
# the host's network unless told otherwise.
set -euo pipefail
readonly engine=$1 folder=$2 image=$3
case $engine in
  docker) cgroups=evalc-test-$$ ;;
  podman) cgroups=libpod_parent ;; # podman has no setting for it
  *) echo "no such engine: $engine" && exit 2 ;;
esac
# All of it is removed at the end.
[[ -d $folder && -z $(ls -A "$folder") ]] || { echo "not an empty folder: $folder" && exit 2; }
# The client that came with the daemon: another one may come first in PATH, too new to talk to it.
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
daemon=

start_docker() {
  export DOCKER_HOST=unix://$folder/socket DOCKER_CONFIG=$folder/client
  mkdir -p "$folder/client" "$folder/hooks"
  printf '#!/bin/sh\n' >"$folder/hooks/nvidia-container-runtime-hook"
  chmod +x "$folder/hooks/nvidia-container-runtime-hook"
  echo '{}' >"$folder/daemon.json" # instead of the machine's own in /etc
  # No storage driver is named: the daemon takes overlay2, and vfs where that cannot work.
  # Own namespaces, since dockerd joins a containerd that already runs on the machine.
  PATH=$folder/hooks:$PATH dockerd --config-file "$folder/daemon.json" \
    --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/pid" \
    --host "$DOCKER_HOST" --bridge none --iptables=false --ip6tables=false \
    --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/$cgroups" \
    --containerd-namespace "$cgroups" --containerd-plugins-namespace "$cgroups-plugins" \
    --log-level warn >"$folder/log" 2>&1 &
  daemon=$!
  for ((tries = 0; tries < 300; tries++)); do
    if docker version >/dev/null 2>&1; then
      printf '%s\n' "DOCKER_HOST=$DOCKER_HOST" "DOCKER_CONFIG=$DOCKER_CONFIG"
      return
    fi
    kill -0 "$daemon" 2>/dev/null || break
    sleep 0.1
  done
  echo "dockerd did not start:"
  tail -n 5 "$folder/log"
  exit 1
}

start_podman() {
  export CONTAINERS_CONF=$folder/containers.conf CONTAINERS_STORAGE_CONF=$folder/storage.conf
  # Limits that need no privilege to set; file locks, since the others are shared by the machine.
  cat >"$CONTAINERS_CONF" <<CONF
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
netns = "host"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "$folder/tmp"
[network]
network_config_dir = "$folder/networks"
CONF
  local driver said
  for driver in overlay vfs; do
    # A database that has seen another driver is refused ever after, so each try starts anew.
    rm -rf "$folder/data" "$folder/run" "$folder/tmp"
    printf '[storage]\ndriver = "%s"\nrunroot = "%s"\ngraphroot = "%s"\n' \
      "$driver" "$folder/run" "$folder/data" >"$CONTAINERS_STORAGE_CONF"
    if said=$(podman info 2>&1); then
      printf '%s\n' "CONTAINERS_CONF=$CONTAINERS_CONF" \
        "CONTAINERS_STORAGE_CONF=$CONTAINERS_STORAGE_CONF"
      return
    fi
  done
  echo "podman cannot work here:"
  tail -n 5 <<<"$said"
  exit 1
}

stop() {
  trap '' INT TERM HUP
  set +e
  exec >/dev/null 2>&1
  local containers point top busy
  mapfile -t containers < <(timeout 30 "$engine" ps --all --quiet)
  # podman would first wait ten seconds for each to stop; docker kills at once and has no --time.
  local options=(--force)
  [[ $engine == docker ]] || options+=(--time 0)
  [[ ${#containers[@]} == 0 ]] || timeout 60 "$engine" rm "${options[@]}" "${containers[@]}"
  if [[ -n $daemon ]]; then
    kill -TERM "$daemon"
    for ((tries = 0; tries < 200; tries++)); do
      kill -0 "$daemon" || break
      sleep 0.1
    done
    ! kill -0 "$daemon" || kill -KILL "$daemon" # its containerd dies with it
    wait "$daemon"
  fi
  findmnt --raw --noheadings --output TARGET | grep -F "$folder/" | tac | while read -r point; do
    umount "$point" || umount --lazy "$point"
  done
  # Version 1 has a tree for each controller. The kernel may call one busy just after a kill.
  for ((tries = 0; tries < 20; tries++)); do
    busy=
    for top in /sys/fs/cgroup/"$cgroups" /sys/fs/cgroup/*/"$cgroups"; do
      [[ ! -d $top ]] || find "$top" -depth -type d -exec rmdir {} + || busy=yes
    done
    [[ -n $busy ]] || break
    sleep 0.1
  done
  rm -rf "$folder"
}
trap stop EXIT
trap 'exit 143' INT TERM HUP

"start_$engine"
# Scripts under test find this client, and no other, as the first in PATH.
mkdir "$folder/bin"
ln -s "$(command -v "$engine")" "$folder/bin/$engine"
"$engine" import "$image" evalc-test:1 >"$folder/log.import" 2>&1 || {
  cat "$folder/log.import"
  exit 1
}
echo ready
while read -r _; do :; done

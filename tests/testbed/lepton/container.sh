#!/usr/bin/env bash
# container.sh FOLDER ADDRESS [SOURCE TARGET ro|rw]... -- COMMAND [ARGUMENT...]
#
# A stand-in for a container of NVIDIA DGX Cloud Lepton; tests alone use it. To be started with
# `unshare --mount --pid --fork`: it makes a root of its own, in which SOURCE is found at TARGET, and becomes
# COMMAND there, process 1. The image is this machine's own file system, read as a layer: what the command writes
# elsewhere than in a volume goes when it ends. ADDRESS is the one that a namespace of its own for the network
# gets (`unshare --net`), empty without one.
#
# What it lacks: images and their entry points, users, limits of memory and CPU, GPUs.
set -euo pipefail
readonly folder=$1 address=$2
shift 2

mount --make-rprivate /
if [[ -n $address ]]; then
  ip link set lo up
  ip address add "$address/32" dev lo
fi
mount -t tmpfs -o mode=755 evalc-lepton "$folder"
mkdir "$folder"/{upper,work,root}
mount -t overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" evalc-lepton "$folder/root"
# Other file systems of this machine are no part of the layer. Those below one that has come already have come
# with it.
taken=("$folder" /proc)
while read -r _ place _; do
  printf -v place '%b' "$place"
  for one in "${taken[@]}"; do
    [[ $place != "$one" && $place != "$one"/* ]] || continue 2
  done
  [[ $place != / && -e $folder/root$place ]] || continue
  mount --rbind "$place" "$folder/root$place"
  taken+=("$place")
done </proc/self/mounts
mount -t proc proc "$folder/root/proc"
while [[ $1 != -- ]]; do
  mkdir -p "$1" "$folder/root/$2"
  mount --bind "$1" "$folder/root/$2"
  [[ $3 != ro ]] || mount -o remount,bind,ro "$folder/root/$2"
  shift 3
done
shift
exec chroot "$folder/root" "$@"

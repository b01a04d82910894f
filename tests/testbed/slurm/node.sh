#!/usr/bin/env bash
# node.sh FOLDER NAME SHARED...
#
# The first process of a node of the test cluster in FOLDER: cluster.sh starts it in network, host
# name, mount and process namespaces of their own. It makes them look like a machine's, says so in
# FOLDER/run/NAME.node (its process id, as the machine sees it), and stays. All processes of the
# node die with it, as in a power cut.
#
# /tmp and /dev/shm are the node's own, so that a script that takes them for shared fails here
# too. The folders SHARED, and all that lies elsewhere, are the same on all nodes.
set -euo pipefail
readonly folder=$1 name=$2
shift 2
read -r pid _ </proc/self/stat # of the machine's /proc, the last time that it can be seen
readonly pid

hostname "$name"
mount --bind "$folder/etc/hosts" /etc/hosts
# What is in FOLDER/bin takes the place of what Slurm has installed, whatever PATH a job sets.
for command in "$folder"/bin/*; do
  [[ ! -e /usr/bin/${command##*/} ]] || mount --bind "$command" "/usr/bin/${command##*/}"
done
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
tmp=$folder/nodes/$name/tmp
mkdir -p "$tmp" && chmod 1777 "$tmp"
for shared in "$@"; do
  [[ $shared == /tmp/* ]] || continue
  mkdir -p "$tmp${shared#/tmp}"
  mount --bind "$shared" "$tmp${shared#/tmp}"
done
mount --rbind "$tmp" /tmp
mount -t proc proc /proc

echo "$pid" >"$folder/run/$name.new"
mv "$folder/run/$name.new" "$folder/run/$name.node"
# While bash waits it also reaps what the node's processes leave behind.
sleep infinity &
wait

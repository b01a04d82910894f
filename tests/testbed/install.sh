#!/usr/bin/env bash
# Installs what the tests need beyond Python: two container engines, Slurm, a browser, and a few tools that
# compiled scripts and tests call. It does so as root on Debian or a relative of it. Elsewhere it installs
# nothing, says what is missing and which tests cannot run because of it, and still exits 0: the
# other tests are worth running. In CI those tests fail instead of being skipped.
#
# Costs a few milliseconds when everything is there. The tests use no system service: where Debian
# starts one for a package (under systemd alone), it is not theirs.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin:/usr/libexec/podman # where a plain user's PATH finds no daemon

# command, or a file where there is none | Debian package | the tests that need it
readonly needs='dockerd                                       | docker.io               | tests with the docker engine
podman                                        | podman                  | tests with the podman engine
catatonit                                     | catatonit               | tests of podman run --init
chromium-headless-shell                       | chromium-headless-shell | tests of reports in a browser
docker-registry                               | docker-registry         | tests that mirror images
skopeo                                        | skopeo                  | the same
curl                                          | curl                    | tests that run compiled scripts with a model server
sshd                                          | openssh-server          | tests over ssh
ssh                                           | openssh-client          | tests over ssh
zsh                                           | zsh                     | tests over ssh to such a login shell
tcsh                                          | tcsh                    | the same
fish                                          | fish                    | the same
pgrep                                         | procps                  | tests of processes left behind
setsid                                        | util-linux              | tests that run compiled scripts on the host
ldd                                           | libc-bin                | tests with any container engine (their image is made with it)
mount                                         | mount                   | tests with any container engine
slurmctld                                     | slurmctld               | tests with the Slurm cluster
slurmd                                        | slurmd                  | tests with the Slurm cluster
sbatch                                        | slurm-client            | tests with the Slurm cluster
slurmdbd                                      | slurmdbd                | tests with the Slurm cluster
/usr/lib/*/slurm*/accounting_storage_mysql.so | slurm-wlm-mysql-plugin  | tests with the Slurm cluster
munged                                        | munge                   | tests with the Slurm cluster
mariadbd                                      | mariadb-server          | tests with the Slurm cluster
ip                                            | iproute2                | tests with the Slurm cluster
gcc                                           | gcc                     | tests with the Slurm cluster (its container plug-in is C)
/usr/include/limits.h                         | libc6-dev               | tests with the Slurm cluster (the same)
/usr/include/slurm/spank.h                    | libslurm-dev            | tests with the Slurm cluster (the same)
mksquashfs                                    | squashfs-tools          | tests with the Slurm cluster and images that are files
haproxy                                       | haproxy                 | tests with the Slurm cluster and several model servers'

missing() { # one line of $needs for each command that is not there
  local command package tests
  while IFS='|' read -r command package tests; do
    command=${command// /} package=${package// /}
    # A file's folder may be named after the architecture.
    command -v "$command" >/dev/null || compgen -G "$command" >/dev/null ||
      printf '%s|%s|%s\n' "$command" "$package" "${tests# }"
  done <<<"$needs"
}

lacking=$(missing)
[[ -n $lacking ]] || exit 0

if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
  mapfile -t packages < <(cut -d'|' -f2 <<<"$lacking")
  echo "installing ${packages[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # A package source that is down is no reason to give up: the others may have what is missing.
  apt-get -qq update || true
  # --no-remove: docker.io and podman-docker exclude each other; whoever has the latter keeps it.
  install=(apt-get -qq install --yes --no-install-recommends --no-remove -o Dpkg::Use-Pty=0)
  # Should one of them not go in, the others still do, each for itself.
  "${install[@]}" "${packages[@]}" >/dev/null || for package in "${packages[@]}"; do
    "${install[@]}" "$package" >/dev/null || true
  done
  lacking=$(missing)
fi

while IFS='|' read -r command package tests; do
  [[ -z $command ]] || echo "not installed: $command (Debian package $package): cannot run $tests" >&2
done <<<"$lacking"

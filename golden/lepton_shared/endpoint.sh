#!/usr/bin/env bash
# The server model (generic), serving small
# Compiled by evalc 0.1.0. This is the command of the endpoint: its JSON holds this text.
set -euo pipefail
_bundle_dir=$(mktemp -d)
_service_dir=$_bundle_dir/service
mkdir -p -- "$_bundle_dir"/lib "$_service_dir"

cat >"$_service_dir"/command.sh <<'EOF'
#!/usr/bin/env bash
exec small-server --host 0.0.0.0 --port "$PORT" --weights /checkpoint
EOF

cat >"$_service_dir"/pre_cmd.sh <<'EOF'
#!/usr/bin/env bash
ulimit -n 65536
EOF

# evalc's library, without its comments: the bundle's lib/ has them.
cat >"$_bundle_dir"/lib/inside.sh <<'EOF'
_folder=$1 _code=0 _child='' _tell=0 _told=''
evalc_told() {
  [ -n "$_child" ] || exit 143
  trap '' TERM INT
  _told=1
  case $_folder in /evalc/*) kill -TERM "$_tell" 2>/dev/null ;; esac
}
trap evalc_told TERM INT
evalc_pre_cmd() {
  [ -f "$_folder/pre_cmd.sh" ] || return 0
  . "$_folder/pre_cmd.sh"
  _code=$?
  set +eu
  [ "$_code" -eq 0 ] && return
  echo "pre_cmd ended with exit code $_code" >&2
  exit "$_code"
}
evalc_command() {
  _tell=0
  bash -c 'trap "exit 143" TERM; . "$0"' "$_folder/${1:-command.sh}" &
  evalc_await "$!"
}
evalc_await() {
  _child=$1 _code=0
  wait "$_child" || _code=$?
  while kill -0 "$_child" 2>/dev/null; do
    _code=0
    wait "$_child" || _code=$?
  done
}
EOF
cat >"$_bundle_dir"/lib/serve.sh <<'EOF'
. "$(dirname -- "${BASH_SOURCE[0]}")/inside.sh"
[ -z "${NODES_PER_INSTANCE-}" ] || export PROC_ID="${SLURM_PROCID:-0}"
evalc_pre_cmd
if [ "${PROC_ID:-0}" -gt 0 ] && [ -f "$_folder/worker.sh" ]; then
  evalc_command worker.sh
  while [ "$_code" -ne 0 ] && [ -z "$_told" ]; do
    sleep 2
    evalc_command worker.sh
  done
  exit "$_code"
fi
if [ -n "${NODES_PER_INSTANCE-}" ] && [ -f "$_folder/head.sh" ]; then
  evalc_command head.sh
  [ "$_code" -eq 0 ] || exit "$_code"
fi
evalc_command
trap '' TERM
[ -z "${NODES_PER_INSTANCE-}" ] || kill -TERM 0
exit "$_code"
EOF

# The platform tells this process alone to stop, and not what it has started.
set -m
bash "$_bundle_dir/lib/serve.sh" "$_service_dir" &
_server=$! _code=0
trap 'kill -TERM -- "-$_server" 2>/dev/null || true' TERM INT
wait "$_server" || _code=$?
while kill -0 "$_server" 2>/dev/null; do
  _code=0
  wait "$_server" || _code=$?
done
exit "$_code"

#!/usr/bin/env bash
# Calls evalc with these arguments, where results are exported from: on this machine, or in a container. What
# installs it comes first, where the config says what does. Static, see common.sh.
_bundle_dir=$(dirname -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")")
if [ -f "$_bundle_dir/export_install.sh" ]; then
  # Sourced, since it may put evalc into PATH. It may be asked for a question that nobody answers.
  # shellcheck source=/dev/null
  . "$_bundle_dir/export_install.sh" </dev/null || {
    _code=$?
    echo "execution.auto_export.launcher_install_cmd ended with exit code $_code" >&2
    exit "$_code"
  }
fi
if ! command -v evalc >/dev/null; then
  if [ -f "$_bundle_dir/export_install.sh" ]; then
    echo 'launcher_install_cmd has put no evalc into PATH' >&2
  else
    echo "evalc is not in PATH here, and does the exporting: install it, or name what does in execution.auto_export.launcher_install_cmd" >&2
  fi
  exit 127
fi
exec evalc "$@"

#!/usr/bin/env bash
# venv.sh PYTHON FOLDER: a virtual environment, also on a Debian whose python3 comes without venv.
set -euo pipefail
python=$1 folder=$2

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
  echo "evalc needs Python 3.10 or newer; $python is $("$python" --version 2>&1)" >&2
  exit 1
}
if [ -x "$folder/bin/python" ] && "$folder/bin/python" -m pip --version >/dev/null 2>&1; then exit 0; fi

# Debian splits ensurepip off into python3-venv.
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
  package="python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing $package"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null
  else
    echo "this Python can't make virtual environments; install $package and try again" >&2
    exit 1
  fi
fi
"$python" -m venv "$folder"

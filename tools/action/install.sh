#!/usr/bin/env bash
# Installs this checkout of evalc into a folder of its own, for the steps that follow (action.yml).
set -euo pipefail

home=$RUNNER_TEMP/evalc
"$PYTHON" -m venv "$home"
"$home/bin/python" -m pip install --quiet --disable-pip-version-check "$GITHUB_ACTION_PATH"
printf '%s\n' "$home/bin" >>"$GITHUB_PATH"

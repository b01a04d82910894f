#!/usr/bin/env bash
# What `make demo` shows: compile the quickstart, look at the bundle, run it, read the scores.
# Expects evalc and what the quickstart needs in PATH (`make demo` sees to both).
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."
out=build/demo/quickstart

# Bold on a terminal, and plain in a file or a CI's log.
bold='' plain=''
if [ -t 1 ]; then bold=$'\033[1m' plain=$'\033[0m'; fi
show() { printf '\n%s$ %s%s\n' "$bold" "$*" "$plain"; }

# A new folder each time, so that the demo always has something to evaluate.
rm -rf "$out"
show evalc compile examples/quickstart.yaml --out "$out"
evalc compile examples/quickstart.yaml --out "$out"
show bash "$out/run_all.sh"
bash "$out/run_all.sh"
show python examples/quickstart/scores.py "$out"
python examples/quickstart/scores.py "$out"

#!/usr/bin/env bash
# What `make demo` shows: compile the quickstart, look at the bundle, run it, read the scores.
# Expects evalc and what the quickstart needs in PATH (`make demo` sees to both).
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."
out=build/demo/quickstart

show() { printf '\n\033[1m$ %s\033[0m\n' "$*"; }

# A new folder each time, so that the demo always has something to evaluate.
rm -rf "$out"
show evalc compile examples/quickstart.yaml --out "$out"
evalc compile examples/quickstart.yaml --out "$out"
show bash "$out/run_all.sh"
bash "$out/run_all.sh"
show python examples/quickstart/scores.py "$out"
python examples/quickstart/scores.py "$out"

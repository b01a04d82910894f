#!/usr/bin/env bash
# auto_export: the same as run_all.sh, one task after the other.
# Compiled by evalc 0.1.0.
exec bash "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/run_all.sh" --jobs 1 "$@"

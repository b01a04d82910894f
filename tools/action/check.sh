#!/usr/bin/env bash
# Checks the configs that match the lines of CONFIGS, with their bundles in GOLDEN (action.yml).
set -euo pipefail

files=()
declare -A seen=()
while IFS= read -r pattern; do
  [ -n "${pattern// /}" ] || continue
  mapfile -t found < <(compgen -G "$pattern")
  if [ "${#found[@]}" -eq 0 ]; then
    printf '::error title=evalc::no file matches the line %q of configs\n' "$pattern"
    exit 2
  fi
  for file in "${found[@]}"; do
    [ -n "${seen[$file]-}" ] || files+=("$file")
    seen[$file]=1
  done
done <<<"$CONFIGS"

options=(--format github)
[ -z "$GOLDEN" ] || options+=(--golden "$GOLDEN")
evalc check "${options[@]}" -- "${files[@]}"

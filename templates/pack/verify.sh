#!/usr/bin/env bash
# Whether everything that was packed is here as it was: content by SHA256SUMS, and which files are programs.
# What runs have left (artifacts, logs) is not looked at.
#
#   bash verify.sh
#
# Needs bash and sha256sum. Exit code: 0 all is as it was, 1 it is not, 69 sha256sum is missing.
set -u
export LC_ALL=C
cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")" || exit 1

if ! command -v sha256sum >/dev/null; then
  printf '[verify] sha256sum is not in PATH\n' >&2
  exit 69
fi
_count=0 _bad=0
while IFS= read -r _line; do
  _count=$((_count + 1))
  _sum=${_line%%  *} _file=${_line#*  }
  if [ ! -f "$_file" ] || [ -h "$_file" ]; then
    printf '[verify] missing: %s\n' "$_file" >&2
    _bad=$((_bad + 1))
    continue
  fi
  # Read as standard input, since sha256sum writes odd names in a way of its own.
  _found=$(sha256sum <"$_file") || _found=''
  if [ "${_found%% *}" != "$_sum" ]; then
    printf '[verify] changed: %s\n' "$_file" >&2
    _bad=$((_bad + 1))
  fi
done <SHA256SUMS
while IFS= read -r _file; do
  if [ -f "$_file" ] && [ ! -x "$_file" ]; then
    printf '[verify] no program any more: %s\n' "$_file" >&2
    _bad=$((_bad + 1))
  fi
done <PROGRAMS
if [ "$_count" -eq 0 ] || [ "$_bad" -gt 0 ]; then
  printf '[verify] %s of %s files are not as they were packed\n' "$_bad" "$_count" >&2
  exit 1
fi
printf '[verify] %s files are as they were packed\n' "$_count"

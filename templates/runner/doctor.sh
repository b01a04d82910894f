# shellcheck shell=bash
# What a run would find on a host: for 'evalc doctor', which judges it. Sent to the host before what the
# backend asks there. Its arguments are the folder of the results, the number of programs and those, the
# number of files and those, and then the backend's own. It starts nothing and leaves nothing behind.
#
# What it prints are blocks: a line with a name and an exit code, what was said with a tab before each line,
# and an empty line. The block 'end' is the last.
set -u
export LC_ALL=C
# A file system or a daemon that hangs must not make this hang.
_within=()
! command -v timeout >/dev/null || _within=(timeout 20)

# evalc_told NAME COMMAND...: a block with what the command says and how it ends.
evalc_told() {
  local _name=$1 _code=0 _said
  shift
  _said=$("$@" 2>&1 </dev/null) || _code=$?
  printf '%s %s\n\t%s\n\n' "$_name" "$_code" "${_said//$'\n'/$'\n\t'}"
}

# evalc_ask NAME COMMAND...: the same for a program, which is given 20 seconds.
evalc_ask() {
  local _name=$1
  shift
  evalc_told "$_name" ${_within[@]+"${_within[@]}"} "$@"
}

# evalc_probe FOLDER: whether a file can be made there.
evalc_probe() {
  local _file
  [ -d "$1" ] || { echo 'it is no folder' && return 1; }
  _file=$(mktemp "$1/.evalc-doctor.XXXXXX") || return
  rm -f -- "$_file"
}

_there=$1
# Elsewhere than on the own machine, a relative folder counts from the home.
case $_there in /*) ;; *) _there=$HOME/${_there#'~/'} ;; esac
# Runs make the folder; what is there of it must let them.
until [ -e "$_there" ] || [ -L "$_there" ]; do
  _there=$(dirname -- "$_there")
done
evalc_told there printf %s "$_there"
evalc_told write evalc_probe "$_there"
evalc_ask free df -Pk -- "$_there"
shift
for ((_left = $1; _left > 0; _left--)); do
  shift
  evalc_told "tool $1" type -P "$1"
done
shift
for ((_left = $1, _number = 0; _left > 0; _left--, _number++)); do
  shift
  evalc_told "file $_number" test -e "$1"
done
shift

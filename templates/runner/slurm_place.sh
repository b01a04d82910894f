# shellcheck shell=bash
# Where a run is, in Slurm's words. Sent to a host before slurm_look.sh and slurm_cancel.sh.

# evalc_find_place FOLDER: the absolute path as Slurm calls it, which knows no links, into _place. Returns 1
# when there is no such folder; what is left of the path tells the place all the same.
evalc_find_place() {
  local _at=/${1#/} _rest=''
  until cd -P -- "$_at/" 2>/dev/null || [ -z "$_at" ]; do
    _rest=/${_at##*/}$_rest
    _at=${_at%/*}
  done
  _place=${PWD%/}$_rest
  [ -z "$_rest" ]
}
_place=''

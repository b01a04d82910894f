# shellcheck shell=bash
# Slurm's commands where only a login leads to them: by /etc/profile.d, a module, ~/.bash_profile. A command by
# ssh gets no login shell. Sent to a host before every other script of the Slurm backend's; where sbatch is in
# PATH, no profile is read.

# evalc_read_profile: what a login shell would export, into this one. What it says, asks or runs beside that is
# its own matter, and ends after 20 seconds.
evalc_read_profile() {
  local _entry _mark="evalc $BASHPID" _ours='' _within=()
  ! command -v timeout >/dev/null || _within=(timeout 20)
  while IFS= read -r -d '' _entry; do
    case $_ours:${_entry%%=*} in
      1:PWD | 1:OLDPWD | 1:SHLVL | 1:_) ;;
      1:*) export "${_entry?}" 2>/dev/null || true ;;
      *) [ "$_entry" != "$_mark" ] || _ours=1 ;;
    esac
  done < <(
    # shellcheck disable=SC2016 # for the login shell to expand
    ${_within[@]+"${_within[@]}"} bash -l -c '
      printf "\0%s\0" "$1"
      for _name in $(compgen -e); do
        case $_name in *[!A-Za-z0-9_]*) ;; *) printf "%s=%s\0" "$_name" "${!_name}" ;; esac
      done
    ' evalc "$_mark" </dev/null 2>/dev/null
  )
}

_by_login=''
if ! type -P sbatch >/dev/null; then
  evalc_read_profile
  ! type -P sbatch >/dev/null || _by_login=1
fi

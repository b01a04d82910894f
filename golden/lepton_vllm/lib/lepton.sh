# shellcheck shell=bash
# Lepton's REST API for bash and curl: one call, its answer, and what can be tried again. Static, see
# common.sh. Routes and forms are those of leptonai 0.47.1.
: "${_bundle_dir:?}"
# shellcheck source-path=SCRIPTDIR source=json.sh
. "$_bundle_dir/lib/json.sh"

_gateway=https://gateway.dgxc-lepton.nvidia.com/api/v2/workspaces
# The token was refused: it has expired, or is none of this workspace.
readonly _EXIT_TOKEN=77
# The workspace's URL, and its token, which no other process is given in its environment.
_workspace='' _bearer=''
# The id of the run, which is in the names of all that it has.
_invocation=''
# The last answer's status (000: there was none), and the file that holds it.
_status=000 _answer=''
# How often something is tried that may pass, the first pause between in seconds, and how long one call
# may take.
_tries=7 _pause=${EVALC_RETRY_SECONDS:-1} _longest=120

# evalc_open_workspace: find the workspace and the token, in the variables of leptonai's own client.
evalc_open_workspace() {
  local _id=${LEPTON_WORKSPACE_ID-}
  command -v curl >/dev/null || evalc_die "$_EXIT_UNAVAILABLE" 'curl is not in PATH'
  evalc_hide
  _bearer=${LEPTON_WORKSPACE_TOKEN-}
  export -n LEPTON_WORKSPACE_TOKEN
  case $_id in
    *:*)
      _bearer=${_bearer:-${_id#*:}}
      _id=${_id%%:*}
      export -n LEPTON_WORKSPACE_ID
      ;;
  esac
  _workspace=${LEPTON_WORKSPACE_URL:-${_id:+$_gateway/$_id}}
  while [[ $_workspace == */ ]]; do _workspace=${_workspace%/}; done
  [ -n "$_bearer" ] ||
    evalc_die "$_EXIT_CONFIG" 'LEPTON_WORKSPACE_TOKEN is not set: export a token of the workspace'
  case $_bearer in
    *[!A-Za-z0-9._~+/=:-]*) evalc_die "$_EXIT_CONFIG" 'LEPTON_WORKSPACE_TOKEN holds what no token can' ;;
  esac
  evalc_unhide
  [ -n "$_workspace" ] ||
    evalc_die "$_EXIT_CONFIG" 'set LEPTON_WORKSPACE_ID, or LEPTON_WORKSPACE_URL'
  case $_workspace in
    *[!A-Za-z0-9._~:/%@+-]*) evalc_die "$_EXIT_CONFIG" "this can't be the URL of a workspace: $_workspace" ;;
    https://?*) ;;
    http://127.0.0.1[:/]* | http://localhost[:/]*) ;;
    *) evalc_die "$_EXIT_CONFIG" "the workspace's URL begins with https://, so that nobody reads the token: $_workspace" ;;
  esac
}

# evalc_call METHOD PATH [FILE]: one request; what came goes into _status and the file _answer. Ends the
# script when the token is refused.
evalc_call() {
  local _arguments=(--silent --globoff --max-time "$_longest" --request "$1" --output "$_answer"
    --write-out '%{http_code}' --header 'Content-Type: application/json')
  [ $# -lt 3 ] || _arguments+=(--data-binary "@$3")
  : >"$_answer"
  evalc_hide
  # The token is on no command line.
  _status=$(printf 'header = "Authorization: Bearer %s"\n' "$_bearer" |
    curl --config - "${_arguments[@]}" -- "$_workspace$2") || _status=000
  evalc_unhide
  case $_status in
    [0-9][0-9][0-9]) ;;
    *) _status=000 ;;
  esac
  [ "$_status" != 401 ] ||
    evalc_die "$_EXIT_TOKEN" "the workspace refuses the token (it may have expired): export LEPTON_WORKSPACE_TOKEN anew and run this again; it goes on where it was"
}

# evalc_is_passing: whether the last answer is a fault that passes: too many requests, a server's own, or
# none at all.
evalc_is_passing() {
  case $_status in 000 | 408 | 429 | 5??) return 0 ;; esac
  return 1
}

# evalc_pause NUMBER: before a call is tried again for the NUMBERth time.
evalc_pause() {
  local _seconds=$_pause _i
  for ((_i = 1; _i < $1 && _i < 6; _i++)); do
    case $_seconds in *.*) break ;; esac
    _seconds=$((_seconds * 2))
  done
  evalc_wait "$_seconds"
}

# evalc_ask METHOD PATH [FILE]: a call that may be repeated: what asks, stops or removes. Ends the script
# when there is no answer in the end.
evalc_ask() {
  local _try
  for ((_try = 1; ; _try++)); do
    evalc_call "$@"
    evalc_is_passing || return 0
    [ -z "$_signal" ] || return 0
    [ "$_try" -lt "$_tries" ] ||
      evalc_die "$_EXIT_UNAVAILABLE" "the workspace does not answer ($(evalc_said)); run this again later, it goes on where it was"
    evalc_pause "$_try"
  done
}

# evalc_said: the last answer for people, in one line.
evalc_said() {
  local _line=''
  if evalc_json "$_answer" /message /error /detail /code && [ ${#_json_values[@]} -gt 0 ]; then
    _line=${_json_values[0]}
  else
    IFS= read -r -n 200 _line <"$_answer" || true
  fi
  [ "$_status" != 000 ] || _line='no connection, or no answer in time'
  _line=${_line:0:200}
  printf 'status %s%s' "$_status" "${_line:+: ${_line//[[:cntrl:]]/ }}"
}

# evalc_choose_family: where this workspace has its endpoints, into _family: newer ones have them at
# /endpoints, in another form.
evalc_choose_family() {
  [ -z "$_family" ] || return 0
  evalc_ask GET /workspace
  _family=deployments
  evalc_json "$_answer" /features/enable_new_deployment_api || return 0
  evalc_json_get /features/enable_new_deployment_api
  [ "$_value" != true ] || _family=endpoints
}
_family=''

# evalc_look_at_endpoint NAME: its state into _state (none: there is no such endpoint), its URL into _url;
# empty while it has none.
evalc_look_at_endpoint() {
  local _phase
  evalc_choose_family
  evalc_ask GET "/$_family/$1"
  _state='' _url=''
  case $_status in
    404) _state=none ;;
    2??)
      evalc_json "$_answer" '/status/*' /metadata/deleted_at || return 0
      evalc_json_get /status/phase
      _phase=$_value
      evalc_json_get /status/state
      # The older API calls what is stopped 'Not Ready', and says more in its phase.
      _state=$_value
      case $_phase in Stopping | Stopped) _state=$_phase ;; esac
      evalc_json_get /metadata/deleted_at
      case $_value in '' | null | 0) ;; *) _state=Deleting ;; esac
      evalc_json_get /status/endpoint/external_endpoint
      _url=$_value
      [ -n "$_url" ] || { evalc_json_get /status/external_url && _url=$_value; }
      while [[ $_url == */ ]]; do _url=${_url%/}; done
      [[ $_url =~ ^https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~/-]*)?$ ]] || _url=
      ;;
  esac
}
_state='' _url=''

# evalc_list_jobs: every job of this invocation that the workspace knows, into _state_of (by id) and
# _named (ids by name).
evalc_list_jobs() {
  local _page _i _path _id _name _before _of_job='^(/jobs)?/[0-9]+/(metadata/(id|name)|status/state)$'
  _state_of=() _named=()
  for ((_page = 1; ; _page++)); do
    evalc_ask GET "/jobs?job_query_mode=alive_and_archive&q=$_invocation&page=$_page&page_size=500"
    [[ $_status == 2?? ]] || evalc_die "$_EXIT_UNAVAILABLE" "can't list the jobs ($(evalc_said)); nothing was submitted"
    evalc_json "$_answer" '*/metadata/id' '*/metadata/name' '*/status/state' ||
      evalc_die "$_EXIT_UNAVAILABLE" "can't read the list of jobs; nothing was submitted"
    [ ${#_json_paths[@]} -gt 0 ] || return 0
    _id='' _name='' _path='' _before=${#_state_of[@]}
    for _i in "${!_json_paths[@]}"; do
      [[ ${_json_paths[_i]} =~ $_of_job ]] || continue
      if [ "${_json_paths[_i]%/*/*}" != "$_path" ]; then
        evalc_list_one
        _path=${_json_paths[_i]%/*/*} _id='' _name=''
      fi
      case ${_json_paths[_i]} in
        */id) _id=${_json_values[_i]} ;;
        */name) _name=${_json_values[_i]} ;;
        */state) _text=${_json_values[_i]} && _state_of["$_path"]=$_text ;;
      esac
    done
    evalc_list_one
    # A server that knows no pages gives the same one again and again.
    [ "${#_state_of[@]}" -gt "$_before" ] && [ -z "$_signal" ] || return 0
  done
}
declare -A _state_of=() _named=()

# evalc_list_one: what was read of one job of the list.
evalc_list_one() {
  local _known
  [ -n "$_path" ] || return 0
  _known=${_state_of["$_path"]-}
  unset "_state_of[$_path]"
  case $_id in '' | *[!A-Za-z0-9._-]*) return 0 ;; esac
  # The server makes an id of the name.
  [ -n "$_name" ] || _name=${_id%-*}
  _state_of[$_id]=${_known:-UNK}
  case " ${_named[$_name]-} " in *" $_id "*) ;; *) _named[$_name]="${_named[$_name]-} $_id" ;; esac
}

# evalc_has_ended STATE: whether nothing more happens to a job by itself. What nobody knows goes on.
evalc_has_ended() {
  case $1 in Completed | Failed | Stopped | Deleted | Archived | gone) return 0 ;; esac
  return 1
}

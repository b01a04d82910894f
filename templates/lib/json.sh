# shellcheck shell=bash
# JSON for bash (RFC 8259): what a server answers, read with grep and this. Static, see common.sh.

# evalc_json FILE PATTERN...: the texts, numbers and words (true, false, null) of a JSON document whose
# path matches a pattern, in order, into _json_paths and _json_values. A path is '/KEY/KEY/INDEX'; a '/'
# within a key is '~1'. Texts are decoded, to UTF-8. Returns 1 when the file holds no JSON, or not all of
# it.
evalc_json() {
  # Bytes: no character is half a match, and bash is several times as fast.
  local LC_ALL=C _file=$1 _token _tokens _pattern _path='' _key='' _want=value _depth=0
  local _kinds=() _above=() _indices=() _number='^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$'
  shift
  _json_paths=() _json_values=()
  # One token a line: no line break is within a text. What is none of JSON's is a token too, and refused.
  mapfile -t _tokens < <(LC_ALL=C grep -aoE '"([^"\\]|\\.)*"|[][{}:,]|[^][{}:,"[:space:]]+|"' -- "$_file")
  for _token in ${_tokens[@]+"${_tokens[@]}"}; do
    case $_want$_token in
      value'{' | first'{')
        _kinds[_depth]=object _above[_depth]=$_path
        _depth=$((_depth + 1)) _want=firstkey
        ;;
      value'[' | first'[')
        _kinds[_depth]=array _above[_depth]=$_path _indices[_depth]=0
        _path+=/0 _depth=$((_depth + 1)) _want=first
        ;;
      first']' | firstkey'}' | next']' | next'}')
        [ "$_depth" -gt 0 ] || return 1
        _depth=$((_depth - 1))
        case ${_kinds[_depth]}$_token in object'}' | array']') ;; *) return 1 ;; esac
        _path=${_above[_depth]} _want=next
        ;;
      next,)
        [ "$_depth" -gt 0 ] || return 1
        if [ "${_kinds[_depth - 1]}" = object ]; then
          _want=key
        else
          _indices[_depth - 1]=$((_indices[_depth - 1] + 1))
          _path=${_above[_depth - 1]}/${_indices[_depth - 1]} _want=value
        fi
        ;;
      key'"'*'"' | firstkey'"'*'"')
        _key=${_token:1:${#_token}-2}
        _path=${_above[_depth - 1]}/${_key//\//\~1} _want=colon
        ;;
      colon:) _want=value ;;
      value'"'*'"' | first'"'*'"' | valuetrue | valuefalse | valuenull | firsttrue | firstfalse | firstnull | value[-0-9]* | first[-0-9]*)
        [[ $_token != [-0-9]* || $_token =~ $_number ]] || return 1
        for _pattern in "$@"; do
          # shellcheck disable=SC2053 # it is a pattern
          if [[ $_path == $_pattern ]]; then
            case $_token in
              '"'*) evalc_json_text "${_token:1:${#_token}-2}" ;;
              *) _text=$_token ;;
            esac
            _json_paths+=("$_path")
            _json_values+=("$_text")
            break
          fi
        done
        _want=next
        ;;
      *) return 1 ;;
    esac
  done
  [ "$_want:$_depth" = next:0 ]
}
_json_paths=() _json_values=() _text=''

# evalc_json_get PATH: the value at a path among those that were read, into _value; empty without one.
evalc_json_get() {
  local _i
  _value=
  for _i in ${_json_paths[@]+"${!_json_paths[@]}"}; do
    if [ "${_json_paths[_i]}" = "$1" ]; then
      _value=${_json_values[_i]}
      return
    fi
  done
}
_value=''

# evalc_json_text TEXT: what stands between JSON's quotes, decoded, into _text.
evalc_json_text() {
  local _rest=$1 _one _low
  _text=
  while [[ $_rest == *\\* ]]; do
    _text+=${_rest%%\\*}
    _rest=${_rest#*\\}
    _one=${_rest:0:1}
    _rest=${_rest:1}
    case $_one in
      n) _text+=$'\n' ;;
      t) _text+=$'\t' ;;
      r) _text+=$'\r' ;;
      b) _text+=$'\b' ;;
      f) _text+=$'\f' ;;
      u)
        _one=$((16#${_rest:0:4}))
        _rest=${_rest:4}
        if [ "$_one" -ge 55296 ] && [ "$_one" -lt 56320 ] && [[ $_rest == \\u[dD][c-fC-F]* ]]; then
          _low=$((16#${_rest:2:4}))
          _one=$((65536 + (_one - 55296) * 1024 + _low - 56320))
          _rest=${_rest:6}
        fi
        evalc_json_character "$_one"
        ;;
      *) _text+=$_one ;;
    esac
  done
  _text+=$_rest
}

# evalc_json_character NUMBER: its UTF-8, behind _text. What no text of bash can hold (NUL), and half a
# pair, is U+FFFD.
evalc_json_character() {
  local _n=$1 _octal
  if [ "$_n" -eq 0 ] || { [ "$_n" -ge 55296 ] && [ "$_n" -lt 57344 ]; }; then _n=65533; fi
  if [ "$_n" -lt 128 ]; then
    printf -v _octal '\\0%o' "$_n"
  elif [ "$_n" -lt 2048 ]; then
    printf -v _octal '\\0%o' $((192 | _n >> 6)) $((128 | _n & 63))
  elif [ "$_n" -lt 65536 ]; then
    printf -v _octal '\\0%o' $((224 | _n >> 12)) $((128 | _n >> 6 & 63)) $((128 | _n & 63))
  else
    printf -v _octal '\\0%o' $((240 | _n >> 18)) $((128 | _n >> 12 & 63)) $((128 | _n >> 6 & 63)) $((128 | _n & 63))
  fi
  printf -v _octal %b "$_octal"
  _text+=$_octal
}

# shellcheck shell=bash
# What the local backend asks a host, after doctor.sh: of an engine, whether it answers and has these images.
_engine=$1
shift
if type -P "$_engine" >/dev/null; then
  evalc_ask engine "$_engine" ps --quiet
  _number=0
  for _image in "$@"; do
    evalc_ask "image $_number" "$_engine" image inspect --format found "$_image"
    _number=$((_number + 1))
  done
fi

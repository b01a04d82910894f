#!/usr/bin/env bash
# Tells how the bundles in GOLDEN differ from those of the revision BASE, as Markdown (action.yml).
set -euo pipefail

# GitHub takes 65,536 characters in a comment.
longest=60000

[ -n "$GOLDEN" ] && [ -n "$BASE" ] || exit 0

work=$(mktemp -d "$RUNNER_TEMP/evalc-changes.XXXXXX")
mkdir "$work/before"
ln -s "$PWD" "$work/after"

# A checkout of depth 1 does not have the base.
git rev-parse --verify --quiet "$BASE^{commit}" >"$work/commit" || {
  git fetch --quiet --no-tags --depth=1 origin "$BASE"
  git rev-parse --verify --quiet "FETCH_HEAD^{commit}" >"$work/commit"
}
read -r commit <"$work/commit"
if git cat-file -e "$commit:./$GOLDEN" 2>/dev/null; then
  git archive --format=tar "$commit" -- "$GOLDEN" | tar -x -C "$work/before"
fi

# The names of the bundles of both sides, one a line.
names() {
  local manifest
  for manifest in "$work"/{before,after}/"$GOLDEN"/*/manifest.json; do
    [ ! -f "$manifest" ] || basename -- "$(dirname -- "$manifest")"
  done | sort -u
}

# A folder's name as Markdown that means nothing else: anybody can name one in a pull request.
harmless() {
  printf '\140%s\140' "${1//[^[:alnum:]._-]/?}"
}

# What differs; the arguments are options of evalc diff.
tell() {
  local name side rc
  while IFS= read -r name; do
    for side in before after; do
      [ -f "$work/$side/$GOLDEN/$name/manifest.json" ] && continue
      case $side in
        before) printf '### New: %s\n\n' "$(harmless "$name")" ;;
        after) printf '### Gone: %s\n\n' "$(harmless "$name")" ;;
      esac
      continue 2
    done
    rc=0
    (cd "$work" && evalc diff --format markdown "$@" -- "before/$GOLDEN/$name" "after/$GOLDEN/$name") \
      >"$work/one" || rc=$?
    [ "$rc" -le 1 ] || return "$rc"
    [ "$rc" -eq 0 ] || {
      # The mark by which the comment is found stands above all, once.
      tail -n +2 "$work/one"
      printf '\n'
    }
  done < <(names)
}

tell >"$work/told"
changed=false
[ ! -s "$work/told" ] || changed=true
if [ "$(wc -c <"$work/told")" -gt "$longest" ]; then
  tell --brief >"$work/told"
fi
{
  printf '<!-- evalc diff -->\n'
  [ "$changed" = true ] || printf 'No bundle has changed.\n'
  room=$longest
  while IFS= read -r line; do
    # By whole lines, so that no character is cut.
    room=$((room - ${#line} - 1))
    [ "$room" -ge 0 ] || { printf '\n… and more.\n' && break; }
    printf '%s\n' "$line"
  done <"$work/told"
} >"$work/changes.md"

cat "$work/changes.md" >>"$GITHUB_STEP_SUMMARY"
printf 'changed=%s\nchanges=%s\n' "$changed" "$work/changes.md" >>"$GITHUB_OUTPUT"

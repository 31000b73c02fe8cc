#!/bin/sh
# Which commit an image is built from (Dockerfile): $2, if it is not empty; else what is checked out, as the folder $1 with the HEAD and the
# refs of a .git has it; else `unknown`. That takes no git: HEAD is a commit, or names a branch, whose commit is a file or in packed-refs.
set -eu

[ -z "$2" ] || { printf '%s\n' "$2"; exit; }

head=$(cat "$1/HEAD" 2>/dev/null || :)
branch=${head#ref: }
if [ "$branch" = "$head" ]; then
  commit=$head
elif [ -f "$1/$branch" ]; then
  commit=$(cat "$1/$branch")
else
  commit=$(while read -r hash name; do if [ "$name" = "$branch" ]; then echo "$hash"; fi; done 2>/dev/null <"$1/packed-refs" || :)
fi
case $commit in
  '' | *[!0-9a-f]*) echo unknown ;;
  *) printf '%.12s\n' "$commit" ;;
esac

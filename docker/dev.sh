#!/bin/sh
# Development in containers (docker-compose.dev.yml).
#
#   dev build         builds the services, again after each change of the source, and puts those that became different into /binaries
#   dev run SERVICE   runs one of them, again after each change of its binary and of the folder DEV_READS, if there is one
set -eu

BUILT=/tmp/built
# Changes are told by inotify. Not every mount sends its events, so that one also looks, this often.
POLL=${DEV_POLL_SECONDS:-5}

say() {
  echo "dev: $*" >&2
}

# Differs from an earlier answer when a file below these paths does, going by name, size and time. What editors leave beside files
# counts as little as versions of models, which the ML service sees by itself.
state() {
  find "$@" -type d -name models -prune -o -type f ! -name '.*' ! -name '*~' -printf '%p %s %T@\n' 2>/dev/null | sort | cksum
}

# Returns when something below these paths may have changed: at once when told, in any case after a while.
await() {
  # In the background, as a shell hears signals only between commands, and in `wait`.
  inotifywait -qq -r -t "$POLL" -e close_write -e create -e delete -e move -e attrib "$@" 2>/dev/null &
  told=0
  wait $! || told=$?
  case $told in
    # Who saves one file often saves others.
    0) sleep 0.2 ;;
    2) ;;
    # It cannot watch: a path is missing, or the kernel's watches are used up.
    *) sleep "$POLL" & wait $! || : ;;
  esac
}

compile() {
  started=$(date +%s)
  say 'building'
  # shellcheck disable=SC2086 # several words
  cargo build $BUILD_OPTIONS &
  if wait $!; then
    publish
    touch "$BUILT"
    say "built in $(($(date +%s) - started)) s; new:${new:- nothing}"
  else
    rm -f "$BUILT"
    say "the build FAILED after $(($(date +%s) - started)) s, see above; what was built before runs on"
    say 'it is tried again after the next change, and after "docker compose restart builder"'
  fi
}

# Renamed into place, so that none is ever seen half written. One with the content of before stays, and so does its service.
publish() {
  new=
  for name in $BINARIES; do
    cmp -s "$CARGO_TARGET_DIR/debug/$name" "/binaries/$name" && continue
    cp "$CARGO_TARGET_DIR/debug/$name" "/binaries/.$name"
    new="$new $name"
  done
  for name in $new; do
    mv "/binaries/.$name" "/binaries/$name"
  done
}

build() {
  trap 'exit 0' TERM INT
  rm -f "$BUILT"
  set -- Cargo.toml Cargo.lock .cargo crates tools postgres
  compiled=
  while :; do
    now=$(state "$@")
    if [ "$now" = "$compiled" ]; then
      await "$@"
    else
      compile
      # The state of before, so that what changed meanwhile is built as well.
      compiled=$now
    fi
  done
}

# Tells the shell that runs the service once these paths have another state than this one.
watch() {
  before=$1
  shift
  while [ "$(state "$@")" = "$before" ]; do
    await "$@"
  done
  kill -USR1 $$
}

run() {
  binary=/binaries/$1
  trap 'exit 0' TERM INT
  [ -x "$binary" ] || say "waiting until $1 has been built: docker compose logs -f builder"
  while [ ! -x "$binary" ]; do
    await /binaries
  done
  stopping='' again='' service=''
  trap 'stopping=yes; kill -TERM $service 2>/dev/null || :' TERM INT
  trap 'again=yes; kill -TERM $service 2>/dev/null || :' USR1
  while [ -z "$stopping" ]; do
    again=''
    before=$(state "$binary" ${DEV_READS:+"$DEV_READS"})
    "$@" &
    service=$!
    # One that came just before.
    [ -z "$stopping" ] || kill -TERM $service
    watch "$before" "$binary" ${DEV_READS:+"$DEV_READS"} &
    watcher=$!
    # A signal ends the waiting, too.
    status=0
    wait $service || status=$?
    while kill -0 $service 2>/dev/null; do
      status=0
      wait $service || status=$?
    done
    kill $watcher 2>/dev/null || :
    [ -n "$again" ] || exit "$status"
    say "its binary or use case has changed: $1 starts anew"
  done
  exit "$status"
}

"$@"

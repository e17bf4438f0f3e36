# What the scripts of a local cluster share. Source it; do not run it.

# retry SECONDS COMMAND...: runs COMMAND every 100 ms until it succeeds.
retry() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@" > /dev/null 2>&1; do
    if [ "$SECONDS" -ge "$deadline" ]; then
      echo "gave up waiting for: $*" >&2
      return 1
    fi
    sleep 0.1
  done
}

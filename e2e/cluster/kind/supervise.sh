#!/usr/bin/env bash
# Runs one kind cluster from its creation to its deletion: supervise.sh KIND CONFIG KUBECONFIG [IMAGE] < PIPE
#
# The cluster lives as long as somebody holds the other end of this script's standard input. Its name tells the process that
# looks after it and when that was started, so that the next start removes clusters of dead ones, and no others. KUBECONFIG lies
# in a folder of the cluster's own, beside those of others; it goes with the cluster.
# Standard output: `name=NAME`, then `ready`.
set -euo pipefail
kind=$1 config=$2 kubeconfig=$3 image=${4:-}

started() { ps -o lstart= -p "$1" 2> /dev/null | cksum | cut -d ' ' -f 1; }

run=$(dirname "$kubeconfig")
for record in "$run"/../*/name; do
  [ -e "$record" ] || continue
  dead=$(cat "$record") rest=${dead##*e2e-}
  if [ "$(started "${rest%-*}")" != "${rest#*-}" ]; then
    "$kind" delete cluster --quiet --name "$dead" --kubeconfig "$(dirname "$record")/kubeconfig" || true
    rm -rf "$(dirname "$record")"
  fi
done

name=memflow-e2e-$$-$(started $$)
echo "$name" > "$run/name"
take_down() {
  local status=$?
  trap - EXIT
  [ -z "$creation" ] || kill "$creation" 2> /dev/null || true
  "$kind" delete cluster --quiet --name "$name" --kubeconfig "$kubeconfig" || true
  rm -rf "$run"
  exit "$status"
}
creation=''
trap 'exit 143' TERM INT HUP
trap take_down EXIT
exec 3<&0
(
  IFS='' read -r -d '' || true
  kill -TERM $$
) <&3 > /dev/null 2>&1 &

"$kind" create cluster --quiet --name "$name" --config "$config" --kubeconfig "$kubeconfig" ${image:+--image "$image"} &
creation=$!
wait "$creation"
creation=''
echo "name=$name"
echo ready
wait

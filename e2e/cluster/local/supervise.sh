#!/usr/bin/env bash
# Runs one local cluster, or one Docker daemon, from its start to its end: supervise.sh RUNS_DIRECTORY < PIPE
#
# A cluster lives as long as somebody holds the other end of this script's standard input, so that it ends with the
# process that asked for it, however that dies. A daemon has many users: it lives as long as one of them holds a shared lock
# of USERS. Of the host this touches one veth pair with its two routes, one cgroup per
# hierarchy and one folder in RUNS_DIRECTORY; all are gone when it exits. What a supervisor that was killed itself left behind
# is removed by the next one.
#
# Standard output: `NAME=VALUE` lines, then `ready`. What goes wrong is told on standard error.
# Environment: FORM (node, control-plane or docker). For clusters KUBE (the all-in-one program), KWOK (optional: the program
# that plays nodes), IMAGES (archives to import, one a line). For docker USERS (the lock's file) and DATA (a folder).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
runs=$1
. "$here/lib.sh"

SLOTS=56            # each has a /16 of its own, from 10.180.0.0 to 10.235.0.0

main() {
  make_run_folder
  trap 'exit 143' TERM INT HUP
  trap take_down EXIT
  watch_owner
  start_namespaces
  take_slot
  write_settings
  if [ "$FORM" = docker ]; then await_docker; else await_cluster; fi
  echo ready
  wait "$outer" || true
  echo "process 1 of the cluster has ended" >&2
  exit 1
}

# The pipe ends when the owner does, also in the midst of a start. The lock can be had when the last user is gone; it is
# then held until this script has ended, so that the next user does not meet a daemon that is about to go.
watch_owner() {
  exec 3<&0
  [ "$FORM" != docker ] || exec 5>> "$USERS"
  (
    if [ "$FORM" = docker ]; then flock 5; else IFS='' read -r -d '' || true; fi
    kill -TERM $$
  ) <&3 > /dev/null 2>&1 9>&- &
  watcher=$!
}

# The folder's lock is held as long as this script lives; taking it proves that its supervisor is gone.
make_run_folder() {
  mkdir -p "$runs"
  exec 8> "$runs/lock"
  flock 8
  local old
  for old in "$runs"/*/; do
    [ -d "$old" ] && remove_if_dead "${old%/}"
  done
  run=$(mktemp -d "$runs/$FORM-XXXXXX")
  chmod 755 "$run"
  exec 9> "$run/lock"
  flock 9
  exec 8>&-
  mkdir -p "$run"/{pki,logs,etcd,cni,root,var/{lib,log}}
  cp "$here"/{node.sh,lib.sh,runc-held-caps} "$run/"
  echo "run=$run"
}

remove_if_dead() { # RUN
  exec 7>> "$1/lock"
  if flock --nonblock 7; then
    remove_traces "$1"
  fi
  exec 7>&-
}

# What outlives the processes of a cluster. The cgroup of a slot that another cluster has taken meanwhile is that cluster's.
remove_traces() { # RUN
  local link cgroup hierarchy
  link=$(setting "$1" LINK) cgroup=$(setting "$1" CGROUP)
  if [ -n "$cgroup" ] && ! ip link show "$link" > /dev/null 2>&1; then
    for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*/; do
      [ -d "${hierarchy%/}/$cgroup" ] && retry 5 remove_cgroup "${hierarchy%/}/$cgroup"
    done
  fi
  [ ! -e "$1/sysctls" ] || sysctl --quiet --load "$1/sysctls"
  rm -rf --one-file-system "$1"
}

# A kubelet in a container sets these for the whole machine; a local node sees its own (see node.sh).
save_sysctls() {
  sysctl vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys \
    kernel.keys.root_maxbytes | tr -d ' ' > "$run/sysctls"
}

remove_cgroup() { find "$1" -depth -type d -exec rmdir {} + 2> /dev/null || [ ! -d "$1" ]; }

setting() { # RUN NAME
  [ ! -e "$1/settings" ] || sed -n "s/^$2=//p" "$1/settings"
}

# Process 1 of the namespaces dies with this script, and everything inside with it.
start_namespaces() {
  setpriv --pdeathsig SIGKILL \
    unshare --mount --net --pid --ipc --uts --fork --kill-child --mount-proc --propagation private \
    bash "$run/node.sh" "$run" > "$run/logs/node.log" 2>&1 < /dev/null 5>&- 8>&- 9>&- &
  outer=$!
  retry 10 pgrep -P "$outer"
  inner=$(pgrep -P "$outer")
  echo "pid=$inner"
}

# The name of the network interface is the claim: making it succeeds for one alone, and it goes with the cluster.
take_slot() {
  local slot
  for slot in $(seq 0 $((SLOTS - 1))); do
    network=10.$((180 + slot))
    [ -z "$(ip route show root "$network.0.0/16")$(ip route show match "$network.0.0/16" | grep -v '^default')" ] || continue
    if ip link add "mfe$slot" type veth peer name eth0 netns "$inner" 2> /dev/null; then
      LINK=mfe$slot CGROUP=memflow-e2e-$slot HOST_IP=$network.0.1 NODE_IP=$network.0.2
      return
    fi
  done
  echo "no free network: all of mfe0 to mfe$((SLOTS - 1)) are in use, or 10.180.0.0 to 10.235.0.0 are routed elsewhere" >&2
  return 1
}

write_settings() {
  POD_CIDR=$network.64.0/18 SERVICE_CIDR=$network.128.0/18 DOCKER_CIDR=$network.192.0/18
  cat > "$run/settings.new" <<SETTINGS
SUPERVISOR=$$
LINK=$LINK
CGROUP=$CGROUP
HOST_IP=$HOST_IP
NODE_IP=$NODE_IP
POD_CIDR=$POD_CIDR
SERVICE_CIDR=$SERVICE_CIDR
DOCKER_CIDR=$DOCKER_CIDR
API_SERVICE_IP=$network.128.1
DNS_SERVICE_IP=$network.128.10
NODE_NAME=memflow-node
FORM=$FORM
KUBE=${KUBE:-}
KWOK=${KWOK:-}
DATA=${DATA:-}
SETTINGS
  ip addr add "$HOST_IP/30" dev "$LINK"
  ip link set "$LINK" up
  ip route add "$POD_CIDR" via "$NODE_IP"           # tests on the host reach pods and Services,
  ip route add "$SERVICE_CIDR" via "$NODE_IP"
  ip route add "$DOCKER_CIDR" via "$NODE_IP"        # and the nodes of kind
  [ "$FORM" = control-plane ] || make_cgroups
  [ "$FORM" != docker ] || save_sysctls
  . "$run/settings.new"
  if [ "$FORM" != docker ]; then
    "$here/certificates.sh" "$run/pki" "$NODE_NAME" "$NODE_IP" "$network.128.1"
    "$here/configure.sh" "$run" "$run/settings.new"
    echo "kubeconfig=$run/pki/admin.kubeconfig"
  fi
  mv "$run/settings.new" "$run/settings"            # node.sh waits for it
}

# The kubelet wants its root to exist. A cpuset of cgroup v1 takes no process before it has processors and memory.
make_cgroups() {
  local hierarchy file
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    sed 's/\(^\| \)/ +/g' /sys/fs/cgroup/cgroup.controllers > /sys/fs/cgroup/cgroup.subtree_control
    mkdir -p "/sys/fs/cgroup/$CGROUP"
    return
  fi
  for hierarchy in /sys/fs/cgroup/*/; do
    [ "$hierarchy" = /sys/fs/cgroup/unified/ ] || mkdir -p "$hierarchy$CGROUP"
  done
  for file in cpuset.cpus cpuset.mems; do
    cat "/sys/fs/cgroup/cpuset/$file" > "/sys/fs/cgroup/cpuset/$CGROUP/$file"
  done
}

await_docker() {
  local docker=(docker --host "unix://$DATA/docker.sock")
  retry 60 "${docker[@]}" version
  # What earlier daemons with these images ran is dead. kind takes the network of this name, and the host is let in.
  "${docker[@]}" ps --all --quiet | xargs --no-run-if-empty "${docker[@]}" rm --force --volumes > /dev/null
  "${docker[@]}" network rm kind > /dev/null 2>&1 || true
  "${docker[@]}" network create kind --subnet "$DOCKER_CIDR" > /dev/null
  nsenter --target "$inner" --net --mount iptables -I DOCKER-USER -j ACCEPT
}

await_cluster() {
  local kubectl=("$KUBE" kubectl --kubeconfig "$run/pki/admin.kubeconfig")
  retry 120 "${kubectl[@]}" get --raw /readyz
  [ "$FORM" = control-plane ] || import_images
  retry 60 "${kubectl[@]}" get serviceaccount default
  [ "$FORM" != control-plane ] || return 0
  "${kubectl[@]}" apply -f "$run/cluster.yaml" > /dev/null
  retry 60 "${kubectl[@]}" get node "$NODE_NAME"
  "${kubectl[@]}" wait "node/$NODE_NAME" --for condition=Ready --timeout 60s > /dev/null
  "${kubectl[@]}" -n kube-system rollout status deployment/coredns --timeout 90s > /dev/null
}

import_images() {
  local archive
  retry 30 nsenter --target "$inner" --mount --pid --net ctr version
  while read -r archive; do
    [ -n "$archive" ] || continue
    nsenter --target "$inner" --mount --pid --net \
      ctr --namespace k8s.io images import - < "$archive" >> "$run/logs/images.log" 2>&1
  done <<< "${IMAGES:-}"
}

take_down() {
  local status=$?
  trap - EXIT
  set +e
  if [ "$status" != 0 ] && [ "$status" != 143 ]; then tail -n 15 "$run"/logs/*.log >&2; fi
  kill "$watcher" 2> /dev/null
  [ -z "$inner" ] || kill -KILL "$inner" 2> /dev/null
  wait "$outer" 2> /dev/null
  retry 5 sh -c "! ip link show '${LINK:-none}'"    # the kernel removes a network namespace a moment after its last process
  exec 9>&-
  remove_traces "$run"
  exit "$status"
}

inner='' outer='' watcher='' LINK=''
main

#!/usr/bin/env bash
# Process 1 of a cluster's namespaces: node.sh RUN
#
# Moves into a root of its own, made of the host's programs and fresh /var, /run and /tmp, so that no folder of the host is
# written to; then starts Kubernetes' programs. When it dies the kernel ends every process, mount and interface inside.
set -euo pipefail
run=$1
. "$run/lib.sh"

main() {
  retry 20 test -e "$run/settings"
  . "$run/settings"
  enter_root
  . /node/lib.sh
  hide_sysctls
  mount --make-rshared /
  ip link set lo up
  ip addr add "$NODE_IP/30" dev eth0
  ip link set eth0 up
  ip route add default via "$HOST_IP"
  echo 1 > /proc/sys/net/ipv4/ip_forward
  mkdir -p /var/lib/memflow-volumes/{1..20} /var/tmp
  chmod 777 /var/lib/memflow-volumes/*
  if [ "$FORM" = docker ]; then start_docker; else start_kubernetes; fi
  while :; do wait -n || sleep 1; done               # reaps what falls to process 1
}

enter_root() {
  local root=$run/root entry name
  mount -t tmpfs -o size=64m node "$root"
  for entry in /*; do
    name=${entry#/}
    if [ -L "$entry" ]; then
      cp -P "$entry" "$root/$name"
    elif [ -d "$entry" ]; then
      mkdir "$root/$name"
      case $name in proc | run | tmp | var) ;; *) mount --rbind "$entry" "$root/$name" ;; esac
    fi
  done
  mkdir "$root/node" "$root/old"
  mount --bind "$run" "$root/node"
  [ -z "$KUBE" ] || bind "$(dirname "$KUBE")" "$root/kube"
  [ -z "$KWOK" ] || bind "$(dirname "$KWOK")" "$root/kwok"
  [ -z "$DATA" ] || bind "$DATA" "$root/docker"
  mount --bind "$run/var" "$root/var"
  mount -t tmpfs -o mode=755 run "$root/run"
  mount -t tmpfs -o mode=1777 tmp "$root/tmp"
  mount -t proc proc "$root/proc"
  cd "$root"
  pivot_root . old
  cd /
  umount --lazy /old
  hostname "$NODE_NAME"
}

bind() { # SOURCE TARGET
  mkdir "$2"
  mount --bind "$1" "$2"
}

# The kubelet sets these for the whole machine. Here it finds them set as it wants, and leaves the machine's alone.
hide_sysctls() {
  local name value
  mkdir /run/sysctl
  while read -r name value; do
    [ -e "/proc/sys/$name" ] || continue
    echo "$value" > "/run/sysctl/${name##*/}"
    mount --bind "/run/sysctl/${name##*/}" "/proc/sys/$name"
  done <<< 'vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000'
}

start() { # PROGRAM ARGUMENTS...: of the all-in-one program
  start_as "$1" /kube/kube "$@"
}

start_as() { # NAME COMMAND...
  local name=$1
  shift
  "$@" > "/node/logs/$name.log" 2>&1 < /dev/null &
}

# Without a bridge of its own: containers use the network that supervise.sh makes, or none.
start_docker() {
  start_as dockerd dockerd --host unix:///docker/docker.sock --data-root /docker/data --exec-root /run/docker \
    --pidfile /run/docker.pid --bridge none --cgroup-parent "/$CGROUP" \
    --add-runtime held=/node/runc-held-caps --default-runtime held
}

start_kubernetes() {
  # Nothing has to outlive the cluster: no fsync.
  start etcd --data-dir /node/etcd --unsafe-no-fsync --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380
  start_api_server
  if [ "$FORM" != control-plane ]; then start_as containerd containerd --config /node/containerd.toml; fi
  retry 120 /kube/kube kubectl --kubeconfig /node/pki/admin.kubeconfig get --raw /readyz
  start_controllers
  if [ -n "$KWOK" ]; then
    start_as kwok "/kwok/$(basename "$KWOK")" --kubeconfig /node/pki/admin.kubeconfig --manage-all-nodes=false \
      --manage-nodes-with-annotation-selector kwok.x-k8s.io/node=fake --node-lease-duration-seconds 40
  fi
  if [ "$FORM" != control-plane ]; then
    start kube-proxy --config /node/kube-proxy.yaml --hostname-override "$NODE_NAME"
    start kubelet --config /node/kubelet.yaml --kubeconfig /node/pki/kubelet.kubeconfig \
      --hostname-override "$NODE_NAME" --node-ip "$NODE_IP"
  fi
}

start_api_server() {
  start kube-apiserver --etcd-servers http://127.0.0.1:2379 --allow-privileged \
    --advertise-address "$NODE_IP" --secure-port 6443 --service-cluster-ip-range "$SERVICE_CIDR" \
    --tls-cert-file /node/pki/apiserver.crt --tls-private-key-file /node/pki/apiserver.key \
    --client-ca-file /node/pki/ca.crt \
    --kubelet-client-certificate /node/pki/apiserver-kubelet-client.crt \
    --kubelet-client-key /node/pki/apiserver-kubelet-client.key \
    --kubelet-certificate-authority /node/pki/ca.crt --kubelet-preferred-address-types InternalIP \
    --requestheader-client-ca-file /node/pki/front-proxy-ca.crt --requestheader-allowed-names front-proxy-client \
    --requestheader-extra-headers-prefix X-Remote-Extra- --requestheader-group-headers X-Remote-Group \
    --requestheader-username-headers X-Remote-User \
    --proxy-client-cert-file /node/pki/front-proxy-client.crt \
    --proxy-client-key-file /node/pki/front-proxy-client.key \
    --service-account-issuer https://kubernetes.default.svc \
    --service-account-key-file /node/pki/sa.pub --service-account-signing-key-file /node/pki/sa.key \
    --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction
}

# Higher rates than by default, so that crowds of pods come and go quickly.
start_controllers() {
  start kube-controller-manager --kubeconfig /node/pki/controller-manager.kubeconfig \
    --kube-api-qps 300 --kube-api-burst 600 --leader-elect=false --bind-address 127.0.0.1 \
    --use-service-account-credentials --root-ca-file /node/pki/ca.crt \
    --service-account-private-key-file /node/pki/sa.key \
    --cluster-signing-cert-file /node/pki/ca.crt --cluster-signing-key-file /node/pki/ca.key \
    --cluster-cidr "$POD_CIDR" --allocate-node-cidrs=false
  start kube-scheduler --kubeconfig /node/pki/scheduler.kubeconfig \
    --kube-api-qps 300 --kube-api-burst 600 --leader-elect=false --bind-address 127.0.0.1
}

main

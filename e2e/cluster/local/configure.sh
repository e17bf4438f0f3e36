#!/usr/bin/env bash
# Writes the configuration of a cluster's programs: configure.sh RUN SETTINGS
# Paths in what it writes are those inside the node, where RUN is /node.
set -euo pipefail
run=$1
here=$(cd "$(dirname "$0")" && pwd)
. "$2"

# Without CAP_SYS_RESOURCE no process may get a negative OOM score; the runtime asks for no capability that root does not hold.
cat > "$run/containerd.toml" <<TOML
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/memflow/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/node/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
      BinaryName = "/node/runc-held-caps"
TOML
cat > "$run/cni/10-memflow.conflist" <<JSON
{ "cniVersion": "0.4.0", "name": "memflow", "plugins": [
  { "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
    "ipam": { "type": "host-local", "ranges": [[{ "subnet": "$POD_CIDR" }]], "routes": [{ "dst": "0.0.0.0/0" }] } },
  { "type": "portmap", "capabilities": { "portMappings": true } } ] }
JSON
cat > "$run/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: /node/pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: /node/pki/kubelet-server.crt
tlsPrivateKeyFile: /node/pki/kubelet-server.key
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /$CGROUP
failCgroupV1: false
failSwapOn: false
clusterDNS: [$DNS_SERVICE_IP]
clusterDomain: cluster.local
resolvConf: /node/resolv.conf
evictionHard: {nodefs.available: 0%, nodefs.inodesFree: 0%, imagefs.available: 0%}
imageGCHighThresholdPercent: 100
maxPods: 250
YAML
# The sysctls of connection tracking are read-only in a network namespace.
cat > "$run/kube-proxy.yaml" <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clusterCIDR: $POD_CIDR
clientConnection: {kubeconfig: /node/pki/proxy.kubeconfig}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
YAML
: > "$run/resolv.conf"
{
  sed "s/DNS_SERVICE_IP/$DNS_SERVICE_IP/" "$here/coredns.yaml"
  "$here/volumes.sh" "$NODE_NAME"
} > "$run/cluster.yaml"

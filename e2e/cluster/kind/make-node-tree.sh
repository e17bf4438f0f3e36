#!/usr/bin/env bash
# Makes the file tree of a kind node from Debian packages, kind's own files and our all-in-one program, with no registry and no
# Docker: make-node-tree.sh TREE KIND_FILES KUBE HELD IMAGES...
#
# Does by hand what kind's base image and `kind build node-image` do. HELD is the runtime that asks for no capability which
# the machine's root does not hold; IMAGES are archives of what a control plane runs.
set -euo pipefail
tree=$1 kind_files=$2 kube=$3 held=$4
shift 4
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../local/lib.sh"

packages=systemd,conntrack,iptables,nftables,iproute2,ethtool,util-linux,mount,kmod,libseccomp2,pigz,bash,ca-certificates
packages+=,curl,jq,procps,containerd,runc,containernetworking-plugins,libstdc++6
mmdebstrap --quiet --variant=minbase --format=directory --dpkgopt=force-unsafe-io --include="$packages" bookworm "$tree"
cp -r --no-preserve=mode,ownership "$kind_files"/. "$tree/"
cp "$held" "$tree/usr/local/bin/runc-held-caps"
cp "$kube" "$tree/usr/bin/kube"
for program in kubeadm kubelet kubectl; do
  ln -sf kube "$tree/usr/bin/$program"
done
mkdir -p "$tree/kind/manifests" "$tree/etc/cni/net.d" "$tree/etc/kubernetes/manifests" "$tree/opt/cni"
cp "$here/10-bridge.conflist" "$tree/etc/cni/net.d/"
# kind applies both; the network is in the image, and volumes are made for each cluster.
for name in default-cni default-storage; do
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: kube-system}\n' "$name" \
    > "$tree/kind/manifests/$name.yaml"
done
"$kube" kubectl version --client --output json | jq --join-output .clientVersion.gitVersion > "$tree/kind/version"

# Without CAP_SYS_RESOURCE: no raised limits, no negative OOM scores, and not all capabilities.
sed -i -E '/^(LimitNPROC|LimitCORE|LimitNOFILE|OOMScoreAdjust|TasksMax)=/d' "$tree/etc/systemd/system/containerd.service"
sed -i -e 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' \
  -e 's#SystemdCgroup = true#SystemdCgroup = true\n    BinaryName = "/usr/local/bin/runc-held-caps"#' \
  "$tree/etc/containerd/config.toml"

configure='
rm -f /lib/systemd/system/multi-user.target.wants/* /etc/systemd/system/*.wants/* \
  /lib/systemd/system/local-fs.target.wants/* /lib/systemd/system/sockets.target.wants/*udev* \
  /lib/systemd/system/sockets.target.wants/*initctl* /lib/systemd/system/basic.target.wants/* \
  /lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service
echo ReadKMsg=no >> /etc/systemd/journald.conf
ln -sf /usr/lib/systemd/systemd /sbin/init
for program in containerd ctr containerd-shim-runc-v2; do ln -sf /usr/bin/$program /usr/local/bin/$program; done
ln -sfn /usr/lib/cni /opt/cni/bin
chmod 755 /kind /kind/bin /kind/bin/* /usr/local/bin/*
systemctl enable kubelet.service containerd.service undo-mount-hacks.service
systemctl mask systemd-binfmt.service
ctr oci spec | jq ".hooks.createContainer[.hooks.createContainer | length] |= . + {\"path\": \"/kind/bin/mount-product-files.sh\"}
  | del(.process.rlimits)" > /etc/containerd/cri-base.json
'
chroot "$tree" bash -euc "$configure"

# The images go into the content store as they are; a node unpacks them when it runs them.
mkdir -p "$tree/import"
for archive in "$@"; do
  ln "$archive" "$tree/import/" 2> /dev/null || cp "$archive" "$tree/import/"
done
import='
mount -t proc proc /proc
mount -t tmpfs run /run
containerd > /var/log/import.log 2>&1 &
. /import/lib.sh
retry 20 ctr version
for archive in /import/*.tar; do
  ctr --namespace k8s.io images import --no-unpack --digests --all-platforms "$archive" > /dev/null
done
'
cp "$here/../local/lib.sh" "$tree/import/"
unshare --mount --net --pid --fork --kill-child --propagation private chroot "$tree" bash -euc "$import"
rm -rf "$tree/import" "$tree/var/log/import.log" "$tree"/var/lib/apt/lists/* "$tree"/var/cache/apt/* \
  "$tree"/usr/share/{doc,man,locale,info} "$tree"/dev/*

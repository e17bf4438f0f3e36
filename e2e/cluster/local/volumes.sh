#!/usr/bin/env bash
# Prints the default StorageClass and the volumes that can be claimed: volumes.sh NODE_NAME
# They are folders of the node, made before by whoever makes the node: /var/lib/memflow-volumes/1 and so on.
set -euo pipefail
cat <<YAML
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: standard, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
YAML
for number in $(seq 20); do
  cat <<YAML
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: volume-$number}
spec:
  capacity: {storage: 20Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: standard
  local: {path: /var/lib/memflow-volumes/$number}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [$1]}]}]}}
YAML
done

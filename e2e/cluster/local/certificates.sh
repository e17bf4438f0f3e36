#!/usr/bin/env bash
# Makes a cluster's certificates, keys and kubeconfigs with openssl: certificates.sh FOLDER NODE_NAME NODE_IP API_SERVICE_IP
set -euo pipefail
folder=$1 node_name=$2 node_ip=$3 api_service_ip=$4
cd "$folder"

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key" 2> /dev/null; }

authority() { # NAME
  key "$1"
  openssl req -x509 -new -key "$1.key" -days 365 -subj "/CN=$1" -out "$1.crt"
}

issue() { # NAME AUTHORITY SUBJECT [ALTERNATIVE_NAMES]
  key "$1"
  openssl req -new -key "$1.key" -subj "$3" -out "$1.csr"
  printf '%s\n' keyUsage=digitalSignature extendedKeyUsage=serverAuth,clientAuth ${4:+"subjectAltName=$4"} > "$1.ext"
  openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -CAcreateserial -days 365 -extfile "$1.ext" \
    -out "$1.crt" 2> /dev/null
  rm "$1.csr" "$1.ext"
}

# Holds all that it needs, so that it can be copied.
kubeconfig() { # NAME
  cat > "$1.kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters:
  - name: memflow-e2e
    cluster: {server: "https://$node_ip:6443", certificate-authority-data: $(base64 -w 0 ca.crt)}
users:
  - name: $1
    user: {client-certificate-data: $(base64 -w 0 "$1.crt"), client-key-data: $(base64 -w 0 "$1.key")}
contexts:
  - name: memflow-e2e
    context: {cluster: memflow-e2e, user: $1}
current-context: memflow-e2e
YAML
  chmod 600 "$1.kubeconfig"
}

authority ca
authority front-proxy-ca
openssl genrsa -out sa.key 2048 2> /dev/null
openssl rsa -in sa.key -pubout -out sa.pub 2> /dev/null
issue apiserver ca /CN=kube-apiserver "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,DNS:localhost,IP:127.0.0.1,IP:$node_ip,IP:$api_service_ip"
issue kubelet-server ca "/CN=$node_name" "DNS:$node_name,IP:$node_ip"
issue apiserver-kubelet-client ca /O=system:masters/CN=kube-apiserver-kubelet-client
issue front-proxy-client front-proxy-ca /CN=front-proxy-client
issue admin ca /O=system:masters/CN=admin
issue controller-manager ca /CN=system:kube-controller-manager
issue scheduler ca /CN=system:kube-scheduler
issue proxy ca /CN=system:kube-proxy
issue kubelet ca "/O=system:nodes/CN=system:node:$node_name"
for name in controller-manager scheduler proxy kubelet admin; do
  kubeconfig "$name"
done

{{/* What the gateway is told by its environment: gateway/src/config.ts. */}}
{{- define "memflow.gatewayEnv" -}}
{{- $name := printf "%s-gateway" (include "memflow.fullname" .) -}}
- name: MEMFLOW_GATEWAY_WATCH_NAMESPACES
  value: {{ join "," .Values.watchNamespaces | quote }}
- name: MEMFLOW_GATEWAY_PORT
  value: "8443"
- name: MEMFLOW_GATEWAY_HEALTH_PORT
  value: "8080"
- name: MEMFLOW_GATEWAY_TLS_NAMES
  value: {{ concat (list (printf "%s.%s.svc" $name .Release.Namespace) $name (printf "%s.%s" $name .Release.Namespace) (printf "%s.%s.svc.cluster.local" $name .Release.Namespace)) .Values.gateway.tls.names | join "," | quote }}
{{- if .Values.gateway.tls.secretName }}
- name: MEMFLOW_GATEWAY_TLS_CERT_FILE
  value: /etc/memflow/tls/tls.crt
- name: MEMFLOW_GATEWAY_TLS_KEY_FILE
  value: /etc/memflow/tls/tls.key
{{- if .Values.gateway.tls.hasAuthority }}
- name: MEMFLOW_GATEWAY_TLS_CA_FILE
  value: /etc/memflow/tls/ca.crt
{{- end }}
{{- else }}
- name: MEMFLOW_GATEWAY_TLS_SECRET
  value: {{ $name }}-tls
{{- end }}
- name: MEMFLOW_GATEWAY_TOKEN_AUDIENCES
  value: {{ join "," .Values.gateway.auth.tokenAudiences | quote }}
- name: MEMFLOW_GATEWAY_API_SERVER_TOKENS
  value: {{ .Values.gateway.auth.apiServerTokens | quote }}
- name: MEMFLOW_GATEWAY_CLIENT_CERTIFICATES
  value: {{ .Values.gateway.auth.clientCertificates | quote }}
- name: MEMFLOW_GATEWAY_AUDIT
  value: {{ .Values.gateway.audit }}
- name: MEMFLOW_GATEWAY_LOG_LEVEL
  value: {{ .Values.gateway.logLevel }}
{{- end -}}

{{- define "memflow.gatewayServiceAccountName" -}}
{{- if .Values.gateway.serviceAccount.create -}}
{{- default (printf "%s-gateway" (include "memflow.fullname" .)) .Values.gateway.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.gateway.serviceAccount.name -}}
{{- end -}}
{{- end -}}

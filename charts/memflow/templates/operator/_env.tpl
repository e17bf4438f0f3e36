{{/* What the operator is told by its environment: operator/src/config.ts. */}}
{{- define "memflow.operatorEnv" -}}
- name: MEMFLOW_OPERATOR_WATCH_NAMESPACES
  value: {{ join "," .Values.watchNamespaces | quote }}
- name: MEMFLOW_OPERATOR_WORKER_IMAGE
  value: {{ include "memflow.image" (dict "image" .Values.worker.image "defaultTag" .Chart.AppVersion) }}
- name: MEMFLOW_OPERATOR_WORKER_PULL_POLICY
  value: {{ .Values.worker.image.pullPolicy }}
- name: MEMFLOW_OPERATOR_LEASE_NAME
  value: {{ include "memflow.fullname" . }}-operator
- name: MEMFLOW_OPERATOR_LEASE_DURATION
  value: {{ .Values.operator.leaderElection.leaseDuration | quote }}
- name: MEMFLOW_OPERATOR_RENEW_DEADLINE
  value: {{ .Values.operator.leaderElection.renewDeadline | quote }}
- name: MEMFLOW_OPERATOR_RETRY_PERIOD
  value: {{ .Values.operator.leaderElection.retryPeriod | quote }}
- name: MEMFLOW_OPERATOR_LOG_LEVEL
  value: {{ .Values.operator.logLevel }}
- name: MEMFLOW_OPERATOR_PORT
  value: "8080"
{{- end -}}

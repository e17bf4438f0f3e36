{{/* What the operator may do in a Kubernetes namespace that it looks after. docs/security.md says why, row by row. */}}
{{- define "memflow.operatorRules" -}}
- apiGroups:
    - memflow.io
  resources:
    - stores
    - taskqueues
    - workflows
    - schedules
  verbs:
    - get
    - list
    - watch
    # Finalizers; the operator never writes a spec.
    - patch
- apiGroups:
    - memflow.io
  resources:
    - stores/status
    - taskqueues/status
    - workflows/status
    - schedules/status
  verbs:
    - get
    - patch
# Asked for by clusters that check who sets an owner that blocks deletion.
- apiGroups:
    - memflow.io
  resources:
    - stores/finalizers
    - taskqueues/finalizers
    - workflows/finalizers
    - schedules/finalizers
  verbs:
    - update
- apiGroups:
    - apps
  resources:
    - deployments
    - controllerrevisions
  verbs:
    - get
    - list
    - watch
    - create
    - patch
    - delete
- apiGroups:
    - apps
  resources:
    - deployments/scale
  verbs:
    - get
    - patch
- apiGroups:
    - policy
  resources:
    - poddisruptionbudgets
  verbs:
    - get
    - list
    - watch
    - create
    - patch
    - delete
- apiGroups:
    - ""
  resources:
    - serviceaccounts
  verbs:
    - get
    - list
    - watch
    - create
    - patch
    - delete
- apiGroups:
    - ""
  resources:
    - pods
  verbs:
    - get
    - list
    - watch
    # The annotation controller.kubernetes.io/pod-deletion-cost.
    - patch
- apiGroups:
    - ""
  resources:
    - configmaps
  verbs:
    - get
    - list
    - watch
    # A copy of a build's inline code.
    - create
    - delete
# Whether the namespace is being deleted; a Role allows it for its own alone.
- apiGroups:
    - ""
  resources:
    - namespaces
  verbs:
    - get
# Those that a Store refers to, and those that the operator makes, each by its name.
- apiGroups:
    - ""
  resources:
    - secrets
  verbs:
    - get
    {{- if .Values.rbac.watchSecrets }}
    - list
    - watch
    {{- end }}
    - create
    - patch
- apiGroups:
    - events.k8s.io
  resources:
    - events
  verbs:
    - create
    - patch
{{- end -}}

{{/* What the gateway may do in a Kubernetes namespace whose Stores it serves. docs/security.md says why, row by row. */}}
{{- define "memflow.gatewayRules" -}}
- apiGroups:
    - memflow.io
  resources:
    - stores
    - taskqueues
    - workflows
  verbs:
    - get
    - list
    - watch
# By the names that Stores give; never listed.
- apiGroups:
    - ""
  resources:
    - secrets
  verbs:
    - get
{{- end -}}

{{/*
Permissions of the controller, as lists of rules; rbac-cluster.yaml and rbac-namespace.yaml decide where each list applies. The
program uses every verb, and no list has `*`.
*/}}

{{/* Objects of the routing table, and what is written about them. */}}
{{- define "headgate.rules.watch" -}}
- apiGroups: [""]
  resources: [services, configmaps, secrets]
  verbs: [list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
- apiGroups: [networking.k8s.io]
  resources: [ingresses]
  verbs: [list, watch]
{{- if include "headgate.writesStatus" . }}
- apiGroups: [networking.k8s.io]
  resources: [ingresses/status]
  verbs: [patch]
{{- end }}
{{- if .Values.gatewayAPI.enabled }}
{{ include "headgate.rules.gateways" . }}
{{- end }}
{{ include "headgate.rules.events" . }}
{{- end -}}

{{/* Objects of the Gateway API in namespaces, and their statuses. A status is read right before it is written. */}}
{{- define "headgate.rules.gateways" -}}
- apiGroups: [headgate.dev]
  resources: [headgateparameters]
  verbs: [list, watch]
- apiGroups: [gateway.networking.k8s.io]
  resources: [gateways, listenersets, httproutes, grpcroutes, tlsroutes, tcproutes, udproutes, backendtlspolicies]
  verbs: [{{ if include "headgate.writesStatus" . }}get, {{ end }}list, watch]
- apiGroups: [gateway.networking.x-k8s.io]
  resources: [xbackendtrafficpolicies]
  verbs: [{{ if include "headgate.writesStatus" . }}get, {{ end }}list, watch]
- apiGroups: [headgate.dev]
  resources: [headgatepolicies]
  verbs: [{{ if include "headgate.writesStatus" . }}get, {{ end }}list, watch]
- apiGroups: [gateway.networking.k8s.io]
  resources: [referencegrants]
  verbs: [list, watch]
{{- if include "headgate.writesStatus" . }}
- apiGroups: [gateway.networking.k8s.io]
  resources:
    - gateways/status
    - listenersets/status
    - httproutes/status
    - grpcroutes/status
    - tlsroutes/status
    - tcproutes/status
    - udproutes/status
    - backendtlspolicies/status
  verbs: [update]
- apiGroups: [gateway.networking.x-k8s.io]
  resources: [xbackendtrafficpolicies/status]
  verbs: [update]
- apiGroups: [headgate.dev]
  resources: [headgatepolicies/status]
  verbs: [update]
{{- end }}
{{- end -}}

{{- define "headgate.rules.events" -}}
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{/* Cluster-scoped objects. */}}
{{- define "headgate.rules.cluster" -}}
- apiGroups: [networking.k8s.io]
  resources: [ingressclasses]
  verbs: [list, watch]
{{- if or (include "headgate.namespaceSelector" .) .Values.gatewayAPI.enabled }}
- apiGroups: [""]
  resources: [namespaces]
  verbs: [list, watch]
{{- end }}
{{- if .Values.gatewayAPI.enabled }}
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  verbs: [list, watch]
- apiGroups: [gateway.networking.k8s.io]
  resources: [gatewayclasses]
  # A class that Gateways use has a finalizer.
  verbs: [{{ if include "headgate.writesStatus" . }}get, patch, {{ end }}list, watch]
{{- if include "headgate.writesStatus" . }}
- apiGroups: [gateway.networking.k8s.io]
  resources: [gatewayclasses/status]
  verbs: [update]
{{- end }}
{{- end }}
{{- if or (include "headgate.readsNodes" .) (include "headgate.readsZone" .) }}
- apiGroups: [""]
  resources: [nodes]
  verbs: [get]
{{- end }}
{{- end -}}

{{/* Services of Gateways, in the namespaces of the Gateways. */}}
{{- define "headgate.rules.gatewayServices" -}}
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, create, update, delete]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, create, update, delete]
{{- end -}}

{{/* Objects of the controller itself, in its namespace. */}}
{{- define "headgate.rules.own" -}}
{{- if not (or .Values.controller.disableLeaderElection (include "headgate.observeOnly" .)) }}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "headgate.electionID" . }}]
  verbs: [get, update, watch]
{{- end }}
{{- if include "headgate.writesStatus" . }}
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list]
{{- else if include "headgate.readsZone" . }}
- apiGroups: [""]
  resources: [pods]
  verbs: [get]
{{- end }}
{{- if include "headgate.gatewayServices" . }}
- apiGroups: [""]
  resources: [configmaps]
  verbs: [create]
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [{{ include "headgate.electionID" . }}-gateway-ports]
  verbs: [get, update]
{{- end }}
{{- if eq (include "headgate.webhookCertificate" .) "self" }}
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [{{ include "headgate.admissionName" . }}]
  verbs: [get, update]
{{- end }}
{{- end -}}

{{/*
Objects that flags name, as a list of {namespace, rules}: if one namespace is watched, they may be in others. The ConfigMap
with the settings names more ConfigMaps, so its rule has no name.
*/}}
{{- define "headgate.rules.named" -}}
{{- $own := include "headgate.namespace" . -}}
- namespace: {{ include "headgate.configNamespace" . | quote }}
  rules:
    - apiGroups: [""]
      resources: [configmaps]
      verbs: [list, watch]
{{- if include "headgate.writesStatus" . }}
{{- with include "headgate.publishService" . | replace "$(POD_NAMESPACE)" $own }}
- namespace: {{ splitList "/" . | first | quote }}
  rules:
    - apiGroups: [""]
      resources: [services]
      resourceNames: [{{ splitList "/" . | last }}]
      verbs: [list, watch]
{{- end }}
{{- end }}
{{- with include "headgate.defaultBackend" . | replace "$(POD_NAMESPACE)" $own }}
- namespace: {{ splitList "/" . | first | quote }}
  rules:
    - apiGroups: [""]
      resources: [services]
      resourceNames: [{{ splitList "/" . | last }}]
      verbs: [list, watch]
    - apiGroups: [discovery.k8s.io]
      resources: [endpointslices]
      verbs: [list, watch]
{{- end }}
{{- range $protocol, $ports := dict "tcp" .Values.tcp "udp" .Values.udp }}
{{- $namespace := default $own (index $.Values.controller $protocol).configMapNamespace }}
{{- if and $ports (ne $namespace (include "headgate.configNamespace" $)) }}
- namespace: {{ $namespace | quote }}
  rules:
    - apiGroups: [""]
      resources: [configmaps]
      resourceNames: [{{ include "headgate.fullname" $ }}-{{ $protocol }}]
      verbs: [list, watch]
{{- end }}
{{- end }}
{{- with index .Values.controller.extraArgs "default-ssl-certificate" }}
- namespace: {{ splitList "/" . | first | replace "$(POD_NAMESPACE)" $own | quote }}
  rules:
    - apiGroups: [""]
      resources: [secrets]
      resourceNames: [{{ splitList "/" . | last }}]
      verbs: [list, watch]
{{- end }}
{{- end -}}

{{/* To keep the caBundle of the webhook configuration current. */}}
{{- define "headgate.rules.webhook" -}}
- apiGroups: [admissionregistration.k8s.io]
  resources: [validatingwebhookconfigurations]
  resourceNames: [{{ include "headgate.admissionName" . }}]
  verbs: [get, patch, watch]
{{- end -}}

{{/*
Rules of Roles by namespace, as a YAML map. The keys are the release's namespace and, if the scope is one namespace, that
one and those of the objects that flags name.
*/}}
{{- define "headgate.rulesByNamespace" -}}
{{- $own := include "headgate.namespace" . -}}
{{- $watched := include "headgate.watchNamespace" . -}}
{{- $rules := dict $own (include "headgate.rules.own" . | fromYamlArray) -}}
{{- if $watched -}}
{{- $all := list (dict "namespace" $watched "rules" (include "headgate.rules.watch" . | fromYamlArray)) -}}
{{- if ne $own $watched -}}
{{- $all = append $all (dict "namespace" $own "rules" (include "headgate.rules.events" . | fromYamlArray)) -}}
{{- end -}}
{{- range include "headgate.rules.named" . | fromYamlArray -}}
{{- if ne .namespace $watched }}{{ $all = append $all . }}{{ end -}}
{{- end -}}
{{- range $all -}}
{{- $_ := set $rules .namespace (concat (default list (index $rules .namespace)) .rules) -}}
{{- end -}}
{{- end -}}
{{- toYaml $rules -}}
{{- end -}}

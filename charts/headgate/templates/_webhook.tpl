{{/* How the API server calls the webhook at a path: all but its name and rules. */}}
{{- define "headgate.webhook" -}}
{{- $webhook := .root.Values.controller.admissionWebhooks -}}
{{- $watched := include "headgate.watchNamespace" .root -}}
clientConfig:
  service:
    name: {{ include "headgate.admissionService" .root }}
    namespace: {{ include "headgate.namespace" .root }}
    port: {{ $webhook.service.servicePort }}
    path: {{ .path }}
  {{- if and (eq (include "headgate.webhookCertificate" .root) "own") $webhook.caBundle }}
  caBundle: {{ $webhook.caBundle }}
  {{- end }}
admissionReviewVersions: [v1]
matchPolicy: Equivalent
sideEffects: None
failurePolicy: {{ $webhook.failurePolicy }}
{{- with $webhook.timeoutSeconds }}
timeoutSeconds: {{ . }}
{{- end }}
{{- if $webhook.namespaceSelector }}
namespaceSelector:
  {{- toYaml $webhook.namespaceSelector | nindent 2 }}
{{- else if $watched }}
namespaceSelector:
  matchLabels:
    kubernetes.io/metadata.name: {{ $watched }}
{{- end }}
{{- with $webhook.objectSelector }}
objectSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $webhook.matchConditions }}
matchConditions:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

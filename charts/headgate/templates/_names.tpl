{{/* Names and labels. They follow the pattern of the ingress-nginx chart, which scripts and dashboards rely on. */}}

{{- define "headgate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "headgate.fullname" -}}
{{- $name := include "headgate.name" . -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- default $full .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "headgate.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "headgate.controllerName" -}}
{{- printf "%s-%s" (include "headgate.fullname" .) .Values.controller.name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "headgate.admissionName" -}}
{{- printf "%s-%s" (include "headgate.fullname" .) .Values.controller.admissionWebhooks.name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Service through which the API server reaches the webhook. */}}
{{- define "headgate.admissionService" -}}
{{- printf "%s-admission" (include "headgate.controllerName" .) -}}
{{- end -}}

{{/* Service of the console. */}}
{{- define "headgate.consoleName" -}}
{{- printf "%s-console" (include "headgate.controllerName" .) -}}
{{- end -}}

{{/* Secret with the token of the console. */}}
{{- define "headgate.consoleSecret" -}}
{{- default (include "headgate.consoleName" .) .Values.console.existingSecret -}}
{{- end -}}

{{- define "headgate.defaultBackendName" -}}
{{- printf "%s-%s" (include "headgate.fullname" .) .Values.defaultBackend.name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "headgate.serviceAccount" -}}
{{- default (.Values.serviceAccount.create | ternary (include "headgate.fullname" .) "default") .Values.serviceAccount.name -}}
{{- end -}}

{{- define "headgate.defaultBackendServiceAccount" -}}
{{- $own := printf "%s-backend" (include "headgate.fullname" .) -}}
{{- default (.Values.defaultBackend.serviceAccount.create | ternary $own "default") .Values.defaultBackend.serviceAccount.name -}}
{{- end -}}

{{/* The Lease. Beside ingress-nginx it is the same Lease, so that only one of both writes in one namespace. */}}
{{- define "headgate.electionID" -}}
{{- $prefix := .Values.dropIn.enabled | ternary .Values.dropIn.fullname (include "headgate.fullname" .) -}}
{{- $fromArgs := index .Values.controller.extraArgs "election-id" -}}
{{- coalesce $fromArgs .Values.controller.electionID (printf "%s-leader" $prefix) -}}
{{- end -}}

{{/* Selector labels, which are immutable. */}}
{{- define "headgate.selectorLabels" -}}
app.kubernetes.io/name: {{ include "headgate.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "headgate.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "headgate.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: {{ include "headgate.name" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "headgate.controllerSelectorLabels" -}}
{{ include "headgate.selectorLabels" . }}
app.kubernetes.io/component: controller
{{- end -}}

{{- define "headgate.controllerLabels" -}}
{{ include "headgate.labels" . }}
app.kubernetes.io/component: controller
{{- with .Values.controller.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "headgate.defaultBackendSelectorLabels" -}}
{{ include "headgate.selectorLabels" . }}
app.kubernetes.io/component: default-backend
{{- end -}}

{{- define "headgate.defaultBackendLabels" -}}
{{ include "headgate.labels" . }}
app.kubernetes.io/component: default-backend
{{- with .Values.defaultBackend.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Name of a TCP or UDP port. Arguments: root, port, protocol in lower case. */}}
{{- define "headgate.streamPort" -}}
{{- with .root.Values.portNamePrefix }}{{ . }}-{{ end }}{{ .port }}-{{ .protocol }}
{{- end -}}

{{/* An image by its full name. Arguments: image (values), root, tag (default). */}}
{{- define "headgate.image" -}}
{{- $registry := default .root.Values.global.image.registry .image.registry -}}
{{- if .image.repository -}}
{{- .image.repository -}}
{{- else -}}
{{- with $registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- .image.image -}}
{{- end -}}
{{- with default .tag (.image.tag | toString) }}:{{ . }}{{ end -}}
{{- with .image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* A scalar as text. Numbers of values files are floats, which would print 10485760 as 1.048576e+07. */}}
{{- define "headgate.text" -}}
{{- if kindIs "invalid" . -}}
{{- else if and (kindIs "float64" .) (eq (floor .) .) -}}
{{- printf "%.0f" . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{/* Templates inside of values may name these helpers of the ingress-nginx chart. */}}
{{- define "ingress-nginx.name" -}}{{ include "headgate.name" . }}{{- end -}}
{{- define "ingress-nginx.fullname" -}}{{ include "headgate.fullname" . }}{{- end -}}
{{- define "ingress-nginx.namespace" -}}{{ include "headgate.namespace" . }}{{- end -}}
{{- define "ingress-nginx.controller.fullname" -}}{{ include "headgate.controllerName" . }}{{- end -}}
{{- define "ingress-nginx.labels" -}}{{ include "headgate.labels" . }}{{- end -}}
{{- define "ingress-nginx.selectorLabels" -}}{{ include "headgate.selectorLabels" . }}{{- end -}}

{{/* The Pod, which a Deployment and a DaemonSet share. */}}

{{- define "headgate.podTemplate" -}}
{{- $controller := .Values.controller -}}
metadata:
  labels:
    {{- include "headgate.controllerLabels" . | nindent 4 }}
    {{- with $controller.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- if $controller.podAnnotations }}
  annotations:
    {{- range $key, $value := $controller.podAnnotations }}
    {{ $key }}: {{ include "headgate.text" $value | quote }}
    {{- end }}
  {{- end }}
spec:
  serviceAccountName: {{ include "headgate.serviceAccount" . }}
  automountServiceAccountToken: {{ .Values.serviceAccount.automountServiceAccountToken }}
  terminationGracePeriodSeconds: {{ int64 $controller.terminationGracePeriodSeconds }}
  {{- include "headgate.podSettings" . | nindent 2 }}
  {{- with include "headgate.podPlacement" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with $controller.extraInitContainers }}
  initContainers:
    {{- tpl (toYaml .) $ | nindent 4 }}
  {{- end }}
  containers:
    - {{ include "headgate.container" . | nindent 6 | trim }}
    {{- with $controller.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    {{- include "headgate.volumes" . | nindent 4 }}
{{- end -}}

{{- define "headgate.podSettings" -}}
{{- $controller := .Values.controller -}}
dnsPolicy: {{ $controller.dnsPolicy }}
{{- with $controller.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $controller.hostAliases }}
hostAliases:
  {{- tpl (toYaml .) $ | nindent 2 }}
{{- end }}
{{- with $controller.hostname }}
hostname: {{ . | toString | quote }}
{{- end }}
{{- if $controller.hostNetwork }}
hostNetwork: true
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $controller.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with $controller.runtimeClassName }}
runtimeClassName: {{ . | quote }}
{{- end }}
{{- if $controller.shareProcessNamespace }}
shareProcessNamespace: true
{{- end }}
{{- with include "headgate.podSecurityContext" . | fromYaml }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Adds the sysctls to those of podSecurityContext; the kubelet refuses them with hostNetwork. */}}
{{- define "headgate.podSecurityContext" -}}
{{- $context := deepCopy (default dict .Values.controller.podSecurityContext) -}}
{{- if and .Values.controller.sysctls (not .Values.controller.hostNetwork) -}}
{{- $sysctls := default list $context.sysctls -}}
{{- range $name, $value := .Values.controller.sysctls -}}
{{- $sysctls = append $sysctls (dict "name" $name "value" (include "headgate.text" $value)) -}}
{{- end -}}
{{- $_ := set $context "sysctls" $sysctls -}}
{{- end -}}
{{- toYaml $context -}}
{{- end -}}

{{- define "headgate.podPlacement" -}}
{{- $controller := .Values.controller -}}
{{- with $controller.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $controller.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $controller.affinity }}
affinity:
  {{- tpl (toYaml .) $ | nindent 2 }}
{{- end }}
{{- if $controller.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- tpl (toYaml $controller.topologySpreadConstraints) $ | nindent 2 }}
{{- else if and $controller.softTopologySpread (eq $controller.kind "Deployment") }}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "headgate.controllerSelectorLabels" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "headgate.container" -}}
{{- $controller := .Values.controller -}}
name: {{ $controller.containerName }}
image: {{ include "headgate.image" (dict "image" $controller.image "root" . "tag" .Chart.AppVersion) | quote }}
imagePullPolicy: {{ $controller.image.pullPolicy }}
args:
  {{- include "headgate.args" . | nindent 2 }}
env:
  - name: POD_NAME
    valueFrom:
      fieldRef:
        apiVersion: v1
        fieldPath: metadata.name
  - name: POD_NAMESPACE
    valueFrom:
      fieldRef:
        apiVersion: v1
        fieldPath: metadata.namespace
  {{- with $controller.extraEnvs }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
ports:
  {{- include "headgate.containerPorts" . | trim | nindent 2 }}
{{- range $probe := list "startupProbe" "livenessProbe" "readinessProbe" }}
{{- with index $controller $probe }}
{{ $probe }}:
  {{- include "headgate.probe" (dict "probe" . "port" $controller.metrics.port) | nindent 2 }}
{{- end }}
{{- end }}
{{- with include "headgate.lifecycle" . | fromYaml }}
lifecycle:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $controller.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $controller.resizePolicy }}
resizePolicy:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "headgate.containerSecurityContext" . | nindent 2 }}
volumeMounts:
  {{- include "headgate.volumeMounts" . | nindent 2 }}
{{- end -}}

{{- define "headgate.containerPorts" -}}
{{- $controller := .Values.controller -}}
{{- $hostPort := $controller.hostPort -}}
{{- range $name, $port := $controller.containerPort }}
- name: {{ $name }}
  containerPort: {{ $port }}
  protocol: TCP
  {{- if and $hostPort.enabled (not $controller.hostNetwork) }}
  hostPort: {{ default $port (index $hostPort.ports $name) }}
  {{- end }}
{{- end }}
- name: {{ $controller.metrics.portName }}
  containerPort: {{ $controller.metrics.port }}
  protocol: TCP
{{- if .Values.console.enabled }}
- name: console
  containerPort: {{ .Values.console.port }}
  protocol: TCP
{{- end }}
{{- if include "headgate.webhookCertificate" . }}
- name: webhook
  containerPort: {{ $controller.admissionWebhooks.port }}
  protocol: TCP
{{- end }}
{{- range $protocol, $ports := dict "tcp" .Values.tcp "udp" .Values.udp }}
{{- range $port, $_ := $ports }}
- name: {{ include "headgate.streamPort" (dict "root" $ "port" $port "protocol" $protocol) }}
  containerPort: {{ $port }}
  protocol: {{ upper $protocol }}
  {{- if and $hostPort.enabled (not $controller.hostNetwork) }}
  hostPort: {{ $port }}
  {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* A probe, whose usual port follows metrics.port. Arguments: probe, port. */}}
{{- define "headgate.probe" -}}
{{- $probe := deepCopy .probe -}}
{{- if $probe.httpGet -}}
{{- if eq (int $probe.httpGet.port) 10254 -}}
{{- $_ := set $probe.httpGet "port" (int .port) -}}
{{- end -}}
{{- end -}}
{{- toYaml $probe -}}
{{- end -}}

{{/* The image does not have the preStop program of ingress-nginx, and a hook that cannot start is reported as a failure at each stop. */}}
{{- define "headgate.lifecycle" -}}
{{- $lifecycle := deepCopy (default dict .Values.controller.lifecycle) -}}
{{- if has "/wait-shutdown" (default list (dig "preStop" "exec" "command" list $lifecycle)) -}}
{{- $lifecycle = omit $lifecycle "preStop" -}}
{{- end -}}
{{- toYaml $lifecycle -}}
{{- end -}}

{{/*
NET_BIND_SERVICE: the file of the program has this one capability, so that an unprivileged process can bind ports below 1024
with hostNetwork, where sysctls are not allowed. It works with allowPrivilegeEscalation=false, because the capability is in
the permitted set of the container; if it is not, the kernel refuses to start the file.
*/}}
{{- define "headgate.containerSecurityContext" -}}
{{- $controller := .Values.controller -}}
{{- if $controller.containerSecurityContext -}}
{{- toYaml $controller.containerSecurityContext -}}
{{- else -}}
runAsNonRoot: {{ $controller.image.runAsNonRoot }}
runAsUser: {{ int64 $controller.image.runAsUser }}
runAsGroup: {{ int64 $controller.image.runAsGroup }}
allowPrivilegeEscalation: {{ $controller.image.allowPrivilegeEscalation }}
readOnlyRootFilesystem: {{ $controller.image.readOnlyRootFilesystem }}
{{- with $controller.image.seccompProfile }}
seccompProfile:
  {{- toYaml . | nindent 2 }}
{{- end }}
capabilities:
  drop:
    - ALL
  add:
    - NET_BIND_SERVICE
{{- end -}}
{{- end -}}

{{- define "headgate.volumeMounts" -}}
{{- $controller := .Values.controller -}}
- name: tmp
  mountPath: /tmp
{{- if $controller.cache.enabled }}
- name: cache
  mountPath: /var/cache/headgate
{{- if $controller.cache.keySecret.name }}
- name: cache-key
  mountPath: /etc/headgate/cache-key
  readOnly: true
{{- end }}
{{- end }}
{{- if .Values.console.enabled }}
- name: console
  mountPath: /etc/headgate/console
  readOnly: true
{{- end }}
{{- if eq (include "headgate.webhookCertificate" .) "certManager" }}
- name: webhook-cert
  mountPath: /usr/local/certificates/
  readOnly: true
{{- end }}
{{- if and (include "headgate.webhookCertificate" .) $controller.admissionWebhooks.clientCA.configMap }}
- name: webhook-clients
  mountPath: /etc/headgate/webhook-clients
  readOnly: true
{{- end }}
{{- with $controller.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "headgate.volumes" -}}
{{- $controller := .Values.controller -}}
- name: tmp
  emptyDir:
    {{- with $controller.tmp.medium }}
    medium: {{ . }}
    {{- end }}
    sizeLimit: {{ $controller.tmp.sizeLimit }}
{{- if $controller.cache.enabled }}
- name: cache
  emptyDir:
    sizeLimit: {{ $controller.cache.sizeLimit }}
{{- with $controller.cache.keySecret.name }}
- name: cache-key
  secret:
    secretName: {{ . }}
{{- end }}
{{- end }}
{{- if .Values.console.enabled }}
- name: console
  secret:
    secretName: {{ include "headgate.consoleSecret" . }}
    items:
      - key: token
        path: token
{{- end }}
{{- if eq (include "headgate.webhookCertificate" .) "certManager" }}
- name: webhook-cert
  secret:
    secretName: {{ include "headgate.admissionName" . }}
{{- end }}
{{- with $controller.admissionWebhooks.clientCA.configMap }}
{{- if include "headgate.webhookCertificate" $ }}
- name: webhook-clients
  configMap:
    name: {{ . }}
{{- end }}
{{- end }}
{{- with $controller.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
The main or the internal Service, which have their values in different places. Arguments: root, name, service (its values),
labels, type, ports and targetPorts (defaults of these).
*/}}
{{- define "headgate.trafficService" -}}
{{- $service := .service -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  namespace: {{ include "headgate.namespace" .root }}
  labels:
    {{- include "headgate.labels" .root | nindent 4 }}
    app.kubernetes.io/component: controller
    {{- with .root.Values.controller.service.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- with .labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- if $service.annotations }}
  annotations:
    {{- range $key, $value := $service.annotations }}
    {{ $key }}: {{ tpl (include "headgate.text" $value) $.root | quote }}
    {{- end }}
  {{- end }}
spec:
  type: {{ .type }}
  {{- with include "headgate.serviceAddresses" $service | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with include "headgate.serviceTraffic" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  ports:
    {{- include "headgate.servicePorts" . | trim | nindent 4 }}
  selector:
    {{- include "headgate.controllerSelectorLabels" .root | nindent 4 }}
{{- end -}}

{{/* Address fields, which all Services of the chart have. Argument: values of the Service. */}}
{{- define "headgate.serviceAddresses" -}}
{{- range $field := list "clusterIP" "loadBalancerIP" "loadBalancerClass" }}
{{- with index $ $field }}
{{ $field }}: {{ . | quote }}
{{- end }}
{{- end }}
{{- range $field := list "clusterIPs" "externalIPs" "loadBalancerSourceRanges" "ipFamilies" }}
{{- with index $ $field }}
{{ $field }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "headgate.serviceTraffic" -}}
{{- $service := .service -}}
{{- $fields := list "internalTrafficPolicy" "sessionAffinity" "ipFamilyPolicy" }}
{{- if semverCompare ">=1.31.0-0" .root.Capabilities.KubeVersion.Version }}
{{- $fields = append $fields "trafficDistribution" }}
{{- end }}
{{- if ne .type "ClusterIP" }}
{{- $fields = concat $fields (list "externalTrafficPolicy" "healthCheckNodePort") }}
{{- end }}
{{- range $field := $fields }}
{{- with index $service $field }}
{{ $field }}: {{ . }}
{{- end }}
{{- end }}
{{- if and (eq .type "LoadBalancer") (kindIs "bool" $service.allocateLoadBalancerNodePorts) }}
allocateLoadBalancerNodePorts: {{ $service.allocateLoadBalancerNodePorts }}
{{- end }}
{{- end -}}

{{- define "headgate.servicePorts" -}}
{{- $service := .service -}}
{{- $values := .root.Values -}}
{{- $nodePorts := has .type (list "NodePort" "LoadBalancer") -}}
{{- $enabled := dict "http" $values.controller.service.enableHttp "https" $values.controller.service.enableHttps -}}
{{- range $name, $on := $enabled }}
{{- if $on }}
- name: {{ $name }}
  port: {{ default (index $.ports $name) (index $service.ports $name) }}
  targetPort: {{ default (index $.targetPorts $name) (index $service.targetPorts $name) }}
  protocol: TCP
  {{- if $service.appProtocol }}
  appProtocol: {{ $name }}
  {{- end }}
  {{- with index $service.nodePorts $name }}
  {{- if $nodePorts }}
  nodePort: {{ . }}
  {{- end }}
  {{- end }}
{{- end }}
{{- end }}
{{- range $protocol, $ports := dict "tcp" $values.tcp "udp" $values.udp }}
{{- range $port, $_ := $ports }}
{{- $name := include "headgate.streamPort" (dict "root" $.root "port" $port "protocol" $protocol) }}
- name: {{ $name }}
  port: {{ $port }}
  targetPort: {{ $name }}
  protocol: {{ upper $protocol }}
  {{- with index $service.nodePorts $protocol }}
  {{- with index . ($port | toString) }}
  {{- if $nodePorts }}
  nodePort: {{ . }}
  {{- end }}
  {{- end }}
  {{- end }}
{{- end }}
{{- end }}
{{- end -}}

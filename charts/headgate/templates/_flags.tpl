{{/* The command line of the controller, and helpers that it shares with roles: what is watched, and what is written. */}}

{{/* "true" while the release runs beside ingress-nginx and changes nothing: no status, no election, no admission webhook. */}}
{{- define "headgate.observeOnly" -}}
{{- if and .Values.dropIn.enabled (not .Values.dropIn.status) }}true{{ end -}}
{{- end -}}

{{/* "true" if the status of Ingresses is written. */}}
{{- define "headgate.writesStatus" -}}
{{- $off := has (include "headgate.text" (index .Values.controller.extraArgs "update-status")) (list "false" "False" "FALSE" "f" "F" "0") -}}
{{- if not (or $off (include "headgate.observeOnly" .) .Values.controller.disableLeaderElection) }}true{{ end -}}
{{- end -}}

{{/* `namespace/name` of the Service whose addresses are written to the status; empty: those of nodes. */}}
{{- define "headgate.publishService" -}}
{{- $service := .Values.controller.service -}}
{{- $own := printf "$(POD_NAMESPACE)/%s" (include "headgate.controllerName" .) -}}
{{- if index .Values.controller.extraArgs "publish-status-address" -}}
{{- else if index .Values.controller.extraArgs "publish-service" -}}
{{- index .Values.controller.extraArgs "publish-service" -}}
{{- else if not .Values.controller.publishService.enabled -}}
{{- else if .Values.controller.publishService.pathOverride -}}
{{- .Values.controller.publishService.pathOverride -}}
{{- else if and $service.enabled $service.external.enabled -}}
{{- $own -}}
{{- else if and $service.enabled $service.internal.enabled -}}
{{- printf "%s-internal" $own -}}
{{- end -}}
{{- end -}}

{{/* "true" if addresses of nodes are written to the status, which needs permission to read nodes. */}}
{{- define "headgate.readsNodes" -}}
{{- $address := index .Values.controller.extraArgs "publish-status-address" -}}
{{- if and (include "headgate.writesStatus" .) (not $address) (not (include "headgate.publishService" .)) }}true{{ end -}}
{{- end -}}

{{/* "true" if the controller looks up the zone of its node. */}}
{{- define "headgate.readsZone" -}}
{{- $flag := include "headgate.text" (index .Values.controller.extraArgs "enable-topology-aware-routing") -}}
{{- if or .Values.controller.enableTopologyAwareRouting (eq $flag "true") }}true{{ end -}}
{{- end -}}

{{/* `namespace/name` of the Service whose endpoints Gateways have: that of the controller; empty: none. */}}
{{- define "headgate.gatewayEndpoints" -}}
{{- $service := .Values.controller.service -}}
{{- $own := printf "$(POD_NAMESPACE)/%s" (include "headgate.controllerName" .) -}}
{{- if index .Values.controller.extraArgs "gateway-endpoints-service" -}}
{{- index .Values.controller.extraArgs "gateway-endpoints-service" -}}
{{- else if and $service.enabled $service.external.enabled -}}
{{- $own -}}
{{- else if and $service.enabled $service.internal.enabled -}}
{{- printf "%s-internal" $own -}}
{{- end -}}
{{- end -}}

{{/* "true" if a Service is made for each Gateway, by the leader, which lists all of them; otherwise Gateways listen on their own ports. */}}
{{- define "headgate.gatewayServices" -}}
{{- $idle := or .Values.controller.disableLeaderElection (include "headgate.observeOnly" .) (include "headgate.watchNamespace" .) -}}
{{- if and .Values.gatewayAPI.enabled (include "headgate.gatewayEndpoints" .) (not $idle) }}true{{ end -}}
{{- end -}}

{{/* `namespace/name` of the Service for unknown hosts; empty: none. */}}
{{- define "headgate.defaultBackend" -}}
{{- $own := .Values.defaultBackend.enabled | ternary (printf "$(POD_NAMESPACE)/%s" (include "headgate.defaultBackendName" .)) "" -}}
{{- default $own (index .Values.controller.extraArgs "default-backend-service") -}}
{{- end -}}

{{/* Label selector of the namespaces that are watched, if any. */}}
{{- define "headgate.namespaceSelector" -}}
{{- $scope := .Values.controller.scope -}}
{{- $own := $scope.enabled | ternary "" $scope.namespaceSelector -}}
{{- default $own (index .Values.controller.extraArgs "watch-namespace-selector") -}}
{{- end -}}

{{/* The one namespace that is watched; empty: all. */}}
{{- define "headgate.watchNamespace" -}}
{{- $scope := .Values.controller.scope -}}
{{- if $scope.enabled }}{{ default (include "headgate.namespace" .) $scope.namespace }}{{ end -}}
{{- end -}}

{{/* Namespace of the ConfigMap with the settings. */}}
{{- define "headgate.configNamespace" -}}
{{- if .Values.dropIn.enabled -}}
{{- default (include "headgate.namespace" .) .Values.dropIn.namespace -}}
{{- else -}}
{{- default (include "headgate.namespace" .) .Values.controller.configMapNamespace -}}
{{- end -}}
{{- end -}}

{{/* That ConfigMap for the command line. */}}
{{- define "headgate.configMap" -}}
{{- if .Values.dropIn.enabled -}}
{{- printf "%s/%s-controller" (default "$(POD_NAMESPACE)" .Values.dropIn.namespace) .Values.dropIn.fullname -}}
{{- else -}}
{{- printf "%s/%s" (default "$(POD_NAMESPACE)" .Values.controller.configMapNamespace) (include "headgate.controllerName" .) -}}
{{- end -}}
{{- end -}}

{{/* The settings, which that ConfigMap has unless dropIn is on. */}}
{{- define "headgate.settings" -}}
{{- $controller := .Values.controller -}}
{{- $prefix := printf "%s/%s" (include "headgate.namespace" .) (include "headgate.fullname" .) -}}
{{- $settings := dict -}}
{{- if $controller.allowSnippetAnnotations }}{{ $_ := set $settings "allow-snippet-annotations" "true" }}{{ end -}}
{{- if $controller.addHeaders }}{{ $_ := set $settings "add-headers" (printf "%s-custom-add-headers" $prefix) }}{{ end -}}
{{- if $controller.proxySetHeaders }}{{ $_ := set $settings "proxy-set-headers" (printf "%s-custom-proxy-headers" $prefix) }}{{ end -}}
{{- range $key, $value := $controller.config -}}
{{- if not (kindIs "invalid" $value) }}{{ $_ := set $settings $key (tpl (include "headgate.text" $value) $) }}{{ end -}}
{{- end -}}
{{- toYaml $settings -}}
{{- end -}}

{{/* Source of the certificate of the webhook: "certManager", "own" (files of the user), "self" (made by the controller), or empty. */}}
{{- define "headgate.webhookCertificate" -}}
{{- $webhook := .Values.controller.admissionWebhooks -}}
{{- if or (not $webhook.enabled) (include "headgate.observeOnly" .) -}}
{{- else if $webhook.certManager.enabled -}}certManager
{{- else if and $webhook.certificate (not (hasPrefix "/usr/local/certificates/" $webhook.certificate)) -}}own
{{- else -}}self
{{- end -}}
{{- end -}}

{{/* Flags as a YAML map; extraArgs take precedence. */}}
{{- define "headgate.flags" -}}
{{- $controller := .Values.controller -}}
ingress-class: {{ $controller.ingressClass | quote }}
controller-class: {{ $controller.ingressClassResource.controllerValue | quote }}
configmap: {{ include "headgate.configMap" . | quote }}
election-id: {{ include "headgate.electionID" . | quote }}
shutdown-grace-period: {{ $controller.shutdownGracePeriod | quote }}
{{- include "headgate.flagsOfPorts" . }}
{{- include "headgate.flagsOfScope" . }}
{{- include "headgate.flagsOfStatus" . }}
{{- include "headgate.flagsOfWebhook" . }}
{{- if .Values.console.enabled }}
{{- $console := printf "%s.%s" (include "headgate.consoleName" .) (include "headgate.namespace" .) }}
console-address: {{ printf ":%d" (int .Values.console.port) | quote }}
console-token-file: /etc/headgate/console/token
console-hosts: {{ concat (list (include "headgate.consoleName" .) $console (printf "%s.svc" $console)) .Values.console.hosts | join "," | quote }}
{{- end }}
{{- if not $controller.enableAnnotationValidations }}
enable-annotation-validation: "false"
{{- end }}
{{- if $controller.enableTopologyAwareRouting }}
enable-topology-aware-routing: "true"
{{- end }}
{{- if .Values.gatewayAPI.enabled }}
enable-gateway-api: "true"
{{- with .Values.gatewayAPI.controllerName }}
gateway-controller-name: {{ . | quote }}
{{- end }}
{{- with .Values.gatewayAPI.gatewayOnIngressPorts }}
gateway-on-ingress-ports: {{ . | quote }}
{{- end }}
{{- if include "headgate.gatewayServices" . }}
gateway-port-range: {{ .Values.gatewayAPI.portRange | quote }}
gateway-endpoints-service: {{ include "headgate.gatewayEndpoints" . | quote }}
{{- else }}
gateway-port-range: none
{{- end }}
{{- end }}
{{- with include "headgate.defaultBackend" . }}
default-backend-service: {{ . | quote }}
{{- end }}
{{- if .Values.tcp }}
tcp-services-configmap: {{ printf "%s/%s-tcp" (default "$(POD_NAMESPACE)" $controller.tcp.configMapNamespace) (include "headgate.fullname" .) | quote }}
{{- end }}
{{- if .Values.udp }}
udp-services-configmap: {{ printf "%s/%s-udp" (default "$(POD_NAMESPACE)" $controller.udp.configMapNamespace) (include "headgate.fullname" .) | quote }}
{{- end }}
{{- if $controller.cache.enabled }}
cache-dir: /var/cache/headgate
{{- if $controller.cache.keySecret.name }}
cache-key-file: {{ printf "/etc/headgate/cache-key/%s" $controller.cache.keySecret.key | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "headgate.flagsOfPorts" -}}
{{- $controller := .Values.controller }}
{{- if ne (int $controller.containerPort.http) 80 }}
http-port: {{ $controller.containerPort.http | quote }}
{{- end }}
{{- if ne (int $controller.containerPort.https) 443 }}
https-port: {{ $controller.containerPort.https | quote }}
{{- end }}
{{- if ne (int $controller.metrics.port) 10254 }}
healthz-port: {{ $controller.metrics.port | quote }}
{{- end }}
{{- with $controller.healthCheckHost }}
healthz-host: {{ . | quote }}
{{- end }}
{{- if ne $controller.healthCheckPath "/healthz" }}
health-check-path: {{ $controller.healthCheckPath | quote }}
{{- end }}
{{- end -}}

{{- define "headgate.flagsOfScope" -}}
{{- $controller := .Values.controller }}
{{- if $controller.scope.enabled }}
watch-namespace: {{ default "$(POD_NAMESPACE)" $controller.scope.namespace | quote }}
{{- else if $controller.scope.namespaceSelector }}
watch-namespace-selector: {{ $controller.scope.namespaceSelector | quote }}
{{- end }}
{{- if $controller.ingressClassByName }}
ingress-class-by-name: "true"
{{- end }}
{{- if $controller.watchIngressWithoutClass }}
watch-ingress-without-class: "true"
{{- end }}
{{- end -}}

{{- define "headgate.flagsOfStatus" -}}
{{- $controller := .Values.controller }}
{{- with include "headgate.publishService" . }}
publish-service: {{ . | quote }}
{{- end }}
{{- if and $controller.reportNodeInternalIp $controller.hostNetwork }}
report-node-internal-ip-address: "true"
{{- end }}
{{- if include "headgate.observeOnly" . }}
update-status: "false"
{{- end }}
{{- if or $controller.disableLeaderElection (include "headgate.observeOnly" .) }}
disable-leader-election: "true"
{{- end }}
{{- with $controller.electionTTL }}
election-ttl: {{ . | quote }}
{{- end }}
{{- end -}}

{{- define "headgate.flagsOfWebhook" -}}
{{- $webhook := .Values.controller.admissionWebhooks }}
{{- $certificate := include "headgate.webhookCertificate" . }}
{{- if $certificate }}
validating-webhook: {{ printf ":%d" (int $webhook.port) | quote }}
{{- if $webhook.clientCA.configMap }}
validating-webhook-client-ca: {{ printf "/etc/headgate/webhook-clients/%s" $webhook.clientCA.key }}
{{- end }}
{{- end }}
{{- if eq $certificate "certManager" }}
validating-webhook-certificate: /usr/local/certificates/tls.crt
validating-webhook-key: /usr/local/certificates/tls.key
{{- else if eq $certificate "own" }}
validating-webhook-certificate: {{ $webhook.certificate | quote }}
validating-webhook-key: {{ $webhook.key | quote }}
{{- else if eq $certificate "self" }}
validating-webhook-secret: {{ printf "$(POD_NAMESPACE)/%s" (include "headgate.admissionName" .) | quote }}
validating-webhook-configuration: {{ include "headgate.admissionName" . | quote }}
validating-webhook-service: {{ printf "$(POD_NAMESPACE)/%s" (include "headgate.admissionService" .) | quote }}
{{- end }}
{{- end -}}

{{/* The arguments of the container. */}}
{{- define "headgate.args" -}}
- controller
{{- $flags := include "headgate.flags" . | fromYaml }}
{{- if index .Values.controller.extraArgs "publish-status-address" }}{{ $flags = omit $flags "publish-service" }}{{ end }}
{{- range $name, $value := .Values.controller.extraArgs }}
{{- $_ := set $flags $name (include "headgate.text" $value) }}
{{- end }}
{{- range $name, $value := $flags }}
- {{ eq $value "" | ternary (printf "--%s" $name) (printf "--%s=%s" $name $value) | quote }}
{{- end }}
{{- end -}}

{{/* Values of ingress-nginx's chart that are accepted without effect, and why. tests/chart holds them equal to values.yaml's. */}}
{{- define "headgate.withoutEffect" -}}
controller.image.chroot: there is no configuration language to isolate
controller.image.digestChroot: there is no such image
controller.admissionWebhooks.extraEnvs: "there are no such Jobs: the controller does their work"
controller.admissionWebhooks.createSecretJob: "there are no such Jobs: the controller does their work"
controller.admissionWebhooks.patchWebhookJob: "there are no such Jobs: the controller does their work"
controller.admissionWebhooks.patch: "there are no such Jobs: the controller does their work"
controller.maxmindLicenseKey: geographical lookup is not built in
controller.enableMimalloc: the allocator is part of the program
controller.customTemplate: there is no configuration text
controller.extraModules: there are no modules to load
controller.opentelemetry: there are no modules to load
dhParam: no cipher suite offered uses them
podSecurityPolicy: Kubernetes has had none since 1.25
{{- end -}}

{{/* One line for each of these that is set, and for other values that do not do what their author may expect. */}}
{{- define "headgate.remarks" -}}
{{- $controller := .Values.controller -}}
{{- range $path, $reason := include "headgate.withoutEffect" . | fromYaml }}
{{- $value := $.Values }}
{{- range $key := splitList "." $path }}{{ $value = index $value $key }}{{ end }}
{{- if $value }}
* {{ $path }} has no effect: {{ $reason }}.
{{- end }}
{{- end }}
{{- if has "/wait-shutdown" (default list (dig "preStop" "exec" "command" list $controller.lifecycle)) }}
* controller.lifecycle.preStop with /wait-shutdown is left out: the controller does that waiting itself.
{{- end }}
{{- if or .Values.tcp .Values.udp }}
* tcp and udp: ports, flags and ConfigMaps are there, but this version does not serve TCP and UDP yet.
{{- end }}
{{- if and .Values.dropIn.enabled (or $controller.config $controller.addHeaders $controller.proxySetHeaders) }}
* controller.config, addHeaders and proxySetHeaders wait for dropIn.enabled=false. Until then the settings of {{ include "headgate.configMap" . | replace "$(POD_NAMESPACE)" (include "headgate.namespace" .) }} hold.
{{- end }}
{{- if and $controller.containerSecurityContext (not (has "NET_BIND_SERVICE" (default list (dig "capabilities" "add" list $controller.containerSecurityContext)))) }}
* controller.containerSecurityContext does not add NET_BIND_SERVICE. If it drops ALL, the container does not start ("operation not permitted").
{{- end }}
{{- if and (dig "readinessProbe" "httpGet" "path" "" $controller | eq "/healthz") }}
* controller.readinessProbe asks /healthz, which stays 200 without a table and while a replica stops. /readyz is the path for it.
{{- end }}
{{- if .Values.rbac.scope }}
* rbac.scope: IngressClasses cannot be read, so only Ingresses with the annotation kubernetes.io/ingress.class (or watchIngressWithoutClass) are served.
{{- end }}
{{- end -}}

{{/* Values of the ingress-nginx chart that are accepted without effect, and why. tests/chart checks that values.yaml says the same. */}}
{{- define "headgate.withoutEffect" -}}
controller.image.chroot: there is no nginx to isolate
controller.image.digestChroot: there is no such image
controller.admissionWebhooks.extraEnvs: "there are no certificate Jobs: the controller does their work"
controller.admissionWebhooks.createSecretJob: "there are no certificate Jobs: the controller does their work"
controller.admissionWebhooks.patchWebhookJob: "there are no certificate Jobs: the controller does their work"
controller.admissionWebhooks.patch: "there are no certificate Jobs: the controller does their work"
controller.maxmindLicenseKey: "databases of locations are not downloaded: mount them in /etc/ingress-controller/geoip"
controller.enableMimalloc: the allocator is part of the program
controller.customTemplate: there is no nginx.conf
controller.extraModules: there are no modules to load
controller.opentelemetry: there are no modules to load
dhParam: no supported cipher suite uses them
podSecurityPolicy: Kubernetes removed them in 1.25
{{- end -}}

{{/* One line for each of these that is set, and for other values with an unexpected effect. */}}
{{- define "headgate.remarks" -}}
{{- $controller := .Values.controller -}}
{{- range $path, $reason := include "headgate.withoutEffect" . | fromYaml }}
{{- $value := $.Values }}
{{- range $key := splitList "." $path }}{{ $value = index $value $key }}{{ end }}
{{- if $value }}
* {{ $path }} has no effect: {{ $reason }}.
{{- end }}
{{- end }}
{{- if has "/wait-shutdown" (default list (dig "preStop" "exec" "command" list (default dict $controller.lifecycle))) }}
* controller.lifecycle.preStop with /wait-shutdown is left out: the controller itself waits.
{{- end }}
{{- if and .Values.dropIn.enabled (or $controller.config $controller.addHeaders $controller.proxySetHeaders) }}
* controller.config, addHeaders and proxySetHeaders have no effect with dropIn.enabled=true. Until then the settings of {{ include "headgate.configMap" . | replace "$(POD_NAMESPACE)" (include "headgate.namespace" .) }} apply.
{{- end }}
{{- if and $controller.containerSecurityContext (not (has "NET_BIND_SERVICE" (default list (dig "capabilities" "add" list $controller.containerSecurityContext)))) }}
* controller.containerSecurityContext does not add NET_BIND_SERVICE. If it drops ALL, the container does not start ("operation not permitted").
{{- end }}
{{- if and (dig "readinessProbe" "httpGet" "path" "" $controller | eq "/healthz") }}
* controller.readinessProbe uses /healthz, which is 200 before the first table is served. Use /readyz.
{{- end }}
{{- if .Values.rbac.scope }}
* rbac.scope: IngressClasses cannot be read, so only Ingresses with the annotation kubernetes.io/ingress.class (or watchIngressWithoutClass) are served.
{{- end }}
{{- end -}}

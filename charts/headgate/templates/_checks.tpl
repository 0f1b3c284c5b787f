{{/* Values that contradict each other. The schema checks single values. */}}

{{- define "headgate.checks" -}}
{{- $controller := .Values.controller -}}
{{- $scope := $controller.scope -}}
{{- $scaled := or $controller.autoscaling.enabled $controller.keda.enabled -}}
{{- if contains "ingress-nginx/controller" (printf "%s %s" $controller.image.image $controller.image.repository) -}}
{{- fail "controller.image is ingress-nginx's own image. Remove controller.image.image, repository, tag and digest, or set them to those of Headgate." -}}
{{- end -}}
{{- if and $controller.autoscaling.enabled $controller.keda.enabled -}}
{{- fail "controller.autoscaling.enabled and controller.keda.enabled are both true, and each scales the Deployment. Keep one of them." -}}
{{- end -}}
{{- if and $scaled (eq $controller.kind "DaemonSet") -}}
{{- fail "controller.kind=DaemonSet runs one Pod on each node and cannot be scaled. Set controller.kind=Deployment, or set controller.autoscaling.enabled and controller.keda.enabled to false." -}}
{{- end -}}
{{- if and $controller.autoscaling.enabled (gt (int $controller.autoscaling.minReplicas) (int $controller.autoscaling.maxReplicas)) -}}
{{- fail "controller.autoscaling.minReplicas exceeds controller.autoscaling.maxReplicas." -}}
{{- end -}}
{{- if and $scope.enabled $scope.namespaceSelector -}}
{{- fail "controller.scope.enabled watches one namespace, and controller.scope.namespaceSelector all namespaces with its labels. Keep one: clear namespaceSelector, or set scope.enabled=false." -}}
{{- end -}}
{{- if and $scope.namespace (not $scope.enabled) -}}
{{- fail "controller.scope.namespace has no effect while controller.scope.enabled is false. Set scope.enabled=true to watch that namespace only." -}}
{{- end -}}
{{- if and .Values.rbac.scope (not $scope.enabled) -}}
{{- fail "rbac.scope=true grants permissions in one namespace only, and controller.scope.enabled=false watches all of them. Set controller.scope.enabled=true, or rbac.scope=false." -}}
{{- end -}}
{{- if and .Values.rbac.scope .Values.gatewayAPI.enabled -}}
{{- fail "rbac.scope=true grants no permissions for cluster-scoped objects, and gatewayAPI.enabled needs GatewayClasses and CRDs. Set rbac.scope=false, or gatewayAPI.enabled=false." -}}
{{- end -}}
{{- $range := splitList "-" .Values.gatewayAPI.portRange -}}
{{- if or (gt (int (first $range)) (int (last $range))) (lt (int (first $range)) 1) (gt (int (last $range)) 65535) -}}
{{- fail "gatewayAPI.portRange must be two ports from 1 to 65535, the lower one first, such as 20000-27999." -}}
{{- end -}}
{{- $ports := dict "metrics" $controller.metrics.port "admissionWebhooks" $controller.admissionWebhooks.port -}}
{{- if .Values.console.enabled }}{{ $_ := set $ports "console" .Values.console.port }}{{ end -}}
{{- range $name, $port := merge $ports $controller.containerPort -}}
{{- if and (include "headgate.gatewayServices" $) (ge (int $port) (int (first $range))) (le (int $port) (int (last $range))) -}}
{{- fail (printf "gatewayAPI.portRange %s has port %d, which the Pods use for %s. Choose other ports for one of them." $.Values.gatewayAPI.portRange (int $port) $name) -}}
{{- end -}}
{{- end -}}
{{- if .Values.console.enabled -}}
{{- range $name, $port := merge (omit $ports "console") $controller.containerPort -}}
{{- if eq (int $port) (int $.Values.console.port) -}}
{{- fail (printf "console.port is %d, which the Pods use for %s. Choose another port." (int $port) $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.dropIn.enabled (not .Values.dropIn.fullname) -}}
{{- fail "dropIn.enabled needs dropIn.fullname: the prefix of the object names of the running ingress-nginx, such as `ingress-nginx` for a release of that name." -}}
{{- end -}}
{{- if and .Values.dropIn.enabled (eq .Values.dropIn.fullname (include "headgate.fullname" .)) (eq (include "headgate.configNamespace" .) (include "headgate.namespace" .)) -}}
{{- fail (printf "dropIn.enabled: the objects of this release would be named %s-…, like those of the running ingress-nginx. Choose another release name or fullnameOverride." .Values.dropIn.fullname) -}}
{{- end -}}
{{- if and .Values.dropIn.status (not .Values.dropIn.enabled) -}}
{{- fail "dropIn.status has an effect with dropIn.enabled=true only. Without dropIn the status is always written." -}}
{{- end -}}
{{- if and (eq (include "headgate.webhookCertificate" .) "own") (not $controller.admissionWebhooks.key) -}}
{{- fail "controller.admissionWebhooks.certificate is set, so controller.admissionWebhooks.key must be set too: the file with the key of that certificate." -}}
{{- end -}}
{{- if and .Values.defaultBackend.enabled (not (or .Values.defaultBackend.image.image .Values.defaultBackend.image.repository)) -}}
{{- fail "defaultBackend.enabled=true needs defaultBackend.image.image and tag: this project has no such image. Without a default backend the controller itself responds 404, so defaultBackend.enabled=false may be enough." -}}
{{- end -}}
{{- if le (int $controller.terminationGracePeriodSeconds) (int $controller.shutdownGracePeriod) -}}
{{- fail "controller.terminationGracePeriodSeconds must exceed controller.shutdownGracePeriod: otherwise the process is killed before it drains its connections." -}}
{{- end -}}
{{- range $service := list $controller.service $controller.service.internal -}}
{{- if and $service.loadBalancerClass (not (eq (default $controller.service.type $service.type) "LoadBalancer")) -}}
{{- fail "controller.service…loadBalancerClass needs a Service of type LoadBalancer." -}}
{{- end -}}
{{- end -}}
{{- end -}}

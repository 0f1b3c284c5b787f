{{- define "headgate.defaultBackendContainer" -}}
{{- $backend := .Values.defaultBackend -}}
name: default-backend
image: {{ include "headgate.image" (dict "image" $backend.image "root" . "tag" "") | quote }}
imagePullPolicy: {{ $backend.image.pullPolicy }}
{{- if $backend.extraArgs }}
args:
  {{- range $name, $value := $backend.extraArgs }}
  {{- $text := include "headgate.text" $value }}
  - {{ eq $text "" | ternary (printf "--%s" $name) (printf "--%s=%s" $name $text) | quote }}
  {{- end }}
{{- end }}
{{- with $backend.extraEnvs }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  - name: http
    containerPort: {{ $backend.port }}
    protocol: TCP
{{- range $probe := list "livenessProbe" "readinessProbe" }}
{{- with index $backend $probe }}
{{ $probe }}:
  {{- toYaml (merge (deepCopy .) (dict "httpGet" (dict "path" "/healthz" "port" "http" "scheme" "HTTP"))) | nindent 2 }}
{{- end }}
{{- end }}
{{- with $backend.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- if $backend.containerSecurityContext }}
  {{- toYaml $backend.containerSecurityContext | nindent 2 }}
  {{- else }}
  {{- toYaml (pick $backend.image "runAsNonRoot" "runAsUser" "runAsGroup" "allowPrivilegeEscalation" "readOnlyRootFilesystem" "seccompProfile") | nindent 2 }}
  capabilities:
    drop:
      - ALL
  {{- end }}
{{- with $backend.extraVolumeMounts }}
volumeMounts:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

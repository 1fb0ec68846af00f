{{- define "taskbeacon.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* Of one component: (list . "api"). */ -}}
{{- define "taskbeacon.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: taskbeacon
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "taskbeacon.labels" -}}
{{- $root := index . 0 -}}
{{ include "taskbeacon.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end -}}

{{- define "taskbeacon.podMetadata" -}}
{{- $root := index . 0 -}}
labels:
  {{- mergeOverwrite (deepCopy $root.Values.podLabels) (include "taskbeacon.labels" . | fromYaml) | toYaml | nindent 2 }}
{{- with $root.Values.podAnnotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* The image of a component: (list . .Values.worker.image), what is empty there is that of all. */ -}}
{{- define "taskbeacon.image" -}}
{{- $root := index . 0 -}}
{{- $own := index . 1 -}}
{{- $repository := $own.repository | default $root.Values.image.repository | required "image.repository: name the image that you have built" -}}
{{- $digest := $own.digest | default (ternary $root.Values.image.digest "" (and (empty $own.repository) (empty $own.tag))) -}}
{{- if $digest -}}
{{ printf "%s@%s" $repository $digest }}
{{- else -}}
{{ printf "%s:%s" $repository ($own.tag | default $root.Values.image.tag | default $root.Chart.AppVersion) }}
{{- end -}}
{{- end -}}

{{- define "taskbeacon.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "taskbeacon.fullname" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end -}}

{{- define "taskbeacon.secretName" -}}
{{ .Values.existingSecret | required "existingSecret: name a Secret with TASKBEACON_DATABASE_URL, TASKBEACON_REDIS_URL and TASKBEACON_SECRET_KEYS" }}
{{- end -}}

{{- define "taskbeacon.config" -}}
{{- range $name, $value := .Values.config }}
- name: {{ $name }}
  {{- /* Numbers are floats here, and large ones would be written with an exponent. */}}
  value: {{ ternary (int64 $value | toString) ($value | toString) (and (kindIs "float64" $value) (eq (toString $value) (toString (floor $value)))) | quote }}
{{- end }}
{{- end -}}

{{- /* What holds for every Pod. Without the variables of services: one of them would be TASKBEACON_PORT. */ -}}
{{- define "taskbeacon.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "taskbeacon.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
{{- end -}}

{{- define "taskbeacon.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- /* The longest run, the wait for an object store that is away, and what a worker needs to store and push its work. */ -}}
{{- define "taskbeacon.drainSeconds" -}}
{{- if kindIs "invalid" .Values.worker.drainSeconds -}}
{{ add (int64 .Values.worker.runTimeoutSeconds) (dig "TASKBEACON_WORKER_STORE_WAIT_SECONDS" 300 .Values.config | int64) 300 }}
{{- else -}}
{{ int64 .Values.worker.drainSeconds }}
{{- end -}}
{{- end -}}

{{- /* Paths that people and clients use; not /metrics and /readyz, which need no key. */ -}}
{{- define "taskbeacon.paths" -}}
[/api, /a, /console, /docs, /openapi.json, /livez]
{{- end -}}

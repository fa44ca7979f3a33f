{{- define "threadkeep.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* Short enough for what is appended: Jobs of CronJobs add eleven characters. */}}
{{- define "threadkeep.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 38 | trimSuffix "-" }}
{{- else }}
{{- $name := include "threadkeep.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 38 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 38 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Of one component: (dict "root" $ "component" "service"). */}}
{{- define "threadkeep.selectorLabels" -}}
app.kubernetes.io/name: {{ include "threadkeep.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "threadkeep.labels" -}}
{{ include "threadkeep.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Reference of an image: (dict "root" $ "image" .Values.image). */}}
{{- define "threadkeep.image" -}}
{{- $path := .image.repository }}
{{- if .image.registry }}{{ $path = printf "%s/%s" .image.registry .image.repository }}{{ end }}
{{- if .image.digest }}
{{- printf "%s@%s" $path .image.digest }}
{{- else }}
{{- printf "%s:%s" $path (.image.tag | default .root.Chart.AppVersion) }}
{{- end }}
{{- end }}

{{- define "threadkeep.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "threadkeep.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- /* Where the service is reached from inside the cluster. */}}
{{- define "threadkeep.url" -}}
{{- printf "http://%s.%s.svc:%v" (include "threadkeep.fullname" .) .Release.Namespace .Values.service.port }}
{{- end }}

{{- define "threadkeep.postgresName" -}}
{{- printf "%s-postgres" (include "threadkeep.fullname" .) }}
{{- end }}

{{- define "threadkeep.redisName" -}}
{{- printf "%s-redis" (include "threadkeep.fullname" .) }}
{{- end }}

{{- define "threadkeep.platformSecret" -}}
{{- .Values.platformKey.existingSecret | default (printf "%s-platform" (include "threadkeep.fullname" .)) }}
{{- end }}

{{- /* The Secret with the URLs of the database, bundled or external. */}}
{{- define "threadkeep.databaseSecret" -}}
{{- if eq .Values.database.mode "external" }}
{{- .Values.database.external.existingSecret }}
{{- else }}
{{- .Values.database.bundled.existingSecret | default (printf "%s-database" (include "threadkeep.fullname" .)) }}
{{- end }}
{{- end }}

{{- /* The names of its keys, as JSON: app, migrate, direct, appPassword. */}}
{{- define "threadkeep.databaseKeys" -}}
{{- if eq .Values.database.mode "external" }}
{{- toJson .Values.database.external.keys }}
{{- else }}
{{- dict "app" "app-url" "migrate" "migrate-url" "appPassword" "app-password" | toJson }}
{{- end }}
{{- end }}

{{- define "threadkeep.redisSecret" -}}
{{- if eq .Values.redis.mode "external" }}
{{- .Values.redis.external.existingSecret }}
{{- else }}
{{- .Values.redis.bundled.existingSecret | default (include "threadkeep.redisName" .) }}
{{- end }}
{{- end }}

{{- define "threadkeep.redisKey" -}}
{{- eq .Values.redis.mode "external" | ternary .Values.redis.external.key "url" }}
{{- end }}

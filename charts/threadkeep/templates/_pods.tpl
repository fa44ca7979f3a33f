{{- /* What every pod of this chart has in common; restricted Pod Security asks for most of it.
     (dict "root" $ "user" .Values.runAsUser) */}}
{{- define "threadkeep.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  {{- with .user }}
  runAsUser: {{ . }}
  runAsGroup: {{ . }}
  fsGroup: {{ . }}
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "threadkeep.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- /* Seconds from the announcement of the end to SIGKILL. After the drain: 2 s for closing
     handshakes, 5 s for requests, 2 s for connections to the database, and a reserve. */}}
{{- define "threadkeep.gracePeriod" -}}
{{- $least := int (ceil (addf .Values.rollout.preStopSeconds .Values.settings.drainSeconds 20)) }}
{{- .Values.rollout.terminationGracePeriodSeconds | default $least | int }}
{{- end }}

{{- /* Brings the schema up to date: the container of the init step and of the hook. */}}
{{- define "threadkeep.migrationContainer" -}}
{{- $keys := include "threadkeep.databaseKeys" . | fromJson -}}
name: migrate
image: {{ include "threadkeep.image" (dict "root" . "image" .Values.image) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
command: [threadkeep]
args:
  - migrate
  - --wait={{ .Values.migrations.waitSeconds }}
env:
  - {name: THREADKEEP_DATABASE_URL_FILE, value: /etc/threadkeep/migrations/migrate-url}
  {{- if $keys.appPassword }}
  - {name: THREADKEEP_APP_PASSWORD_FILE, value: /etc/threadkeep/migrations/app-password}
  {{- end }}
  - {name: THREADKEEP_LOG_FORMAT, value: json}
  - {name: THREADKEEP_LOG_LEVEL, value: {{ .Values.settings.logLevel }}}
{{ include "threadkeep.containerSecurity" . }}
resources:
  {{- toYaml .Values.migrations.resources | nindent 2 }}
volumeMounts:
  - {name: migrations, mountPath: /etc/threadkeep/migrations, readOnly: true}
  - {name: tmp, mountPath: /tmp}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- /* The owner's credentials: mounted by migrations alone. */}}
{{- define "threadkeep.migrationVolume" -}}
{{- $keys := include "threadkeep.databaseKeys" . | fromJson -}}
name: migrations
secret:
  secretName: {{ include "threadkeep.databaseSecret" . }}
  defaultMode: 0440
  items:
    - {key: {{ $keys.migrate }}, path: migrate-url}
    {{- if $keys.appPassword }}
    - {key: {{ $keys.appPassword }}, path: app-password}
    {{- end }}
{{- end }}

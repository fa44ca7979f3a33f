{{- define "threadkeep.isPooled" -}}
{{- if and (eq .Values.database.mode "external") .Values.database.external.pooled }}true{{ end }}
{{- end }}

{{- /* Settings of the service; secrets are files. */}}
{{- define "threadkeep.serviceEnv" -}}
- {name: THREADKEEP_DATABASE_URL_FILE, value: /etc/threadkeep/secrets/database-url}
{{- if include "threadkeep.isPooled" . }}
- {name: THREADKEEP_DATABASE_DIRECT_URL_FILE, value: /etc/threadkeep/secrets/database-direct-url}
- {name: THREADKEEP_DATABASE_POOLED, value: "true"}
{{- end }}
- {name: THREADKEEP_PLATFORM_KEY_FILE, value: /etc/threadkeep/secrets/platform-key}
{{- if ne .Values.redis.mode "none" }}
- {name: THREADKEEP_REDIS_URL_FILE, value: /etc/threadkeep/secrets/redis-url}
- {name: THREADKEEP_WAKEUPS, value: redis}
{{- end }}
{{- with .Values.settings }}
- {name: THREADKEEP_DATABASE_CONNECTIONS, value: {{ int .databaseConnections | quote }}}
- {name: THREADKEEP_APPEND_LANES, value: {{ int .appendLanes | quote }}}
- {name: THREADKEEP_REQUEST_SECONDS, value: {{ .requestSeconds | quote }}}
- {name: THREADKEEP_ADDRESS_ATTEMPTS_PER_MINUTE, value: {{ int .addressAttemptsPerMinute | quote }}}
{{- with .allowedOrigins }}
- {name: THREADKEEP_ALLOWED_ORIGINS, value: {{ join "," . | quote }}}
{{- end }}
- {name: THREADKEEP_DRAIN_SECONDS, value: {{ .drainSeconds | quote }}}
- {name: THREADKEEP_LOG_LEVEL, value: {{ .logLevel }}}
{{- end }}
- {name: THREADKEEP_LOG_FORMAT, value: json}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Where pods may run: (dict "values" <nodeSelector, tolerations, affinity …>). */}}
{{- define "threadkeep.placement" -}}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- /* Each revision by itself, so that an update ends as evenly spread as it began. */}}
{{- define "threadkeep.topologySpread" -}}
{{- if .Values.topologySpreadConstraints }}
{{- toYaml .Values.topologySpreadConstraints }}
{{- else }}
{{- $root := . }}
{{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: ScheduleAnyway
  matchLabelKeys: [pod-template-hash]
  labelSelector:
    matchLabels:
      {{- include "threadkeep.selectorLabels" (dict "root" $root "component" "service") | nindent 6 }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Where pods of the service and migrations may connect to. */}}
{{- define "threadkeep.egress" -}}
- ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
{{- if eq .Values.database.mode "bundled" }}
- ports: [{port: 5432, protocol: TCP}]
  to:
    - podSelector:
        matchLabels:
          {{- include "threadkeep.selectorLabels" (dict "root" . "component" "postgres") | nindent 10 }}
{{- else }}
- ports: [{port: {{ .Values.database.external.port }}, protocol: TCP}]
{{- end }}
{{- if eq .Values.redis.mode "bundled" }}
- ports: [{port: 6379, protocol: TCP}]
  to:
    - podSelector:
        matchLabels:
          {{- include "threadkeep.selectorLabels" (dict "root" . "component" "redis") | nindent 10 }}
{{- else if eq .Values.redis.mode "external" }}
- ports: [{port: {{ .Values.redis.external.port }}, protocol: TCP}]
{{- end }}
{{- with .Values.networkPolicy.egressPorts }}
- ports:
    {{- range . }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end }}
{{- with .Values.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end }}

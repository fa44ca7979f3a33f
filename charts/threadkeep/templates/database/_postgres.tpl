{{- /* Mebibytes of a Kubernetes quantity: "1Gi" is 1024. */}}
{{- define "threadkeep.mebibytes" -}}
{{- $quantity := toString . }}
{{- $number := regexFind "^[0-9]+" $quantity | int64 }}
{{- $unit := regexReplaceAll "^[0-9]+" $quantity "" }}
{{- if eq $unit "Gi" }}{{ mul $number 1024 }}
{{- else if eq $unit "Mi" }}{{ $number }}
{{- else if eq $unit "G" }}{{ div (mul $number 1000000000) 1048576 }}
{{- else if eq $unit "M" }}{{ div (mul $number 1000000) 1048576 }}
{{- else }}{{ fail (printf "database.bundled.resources.limits.memory: write %q in Gi, Mi, G or M" $quantity) }}
{{- end }}
{{- end }}

{{- /* What URLs name behind the login. */}}
{{- define "threadkeep.postgresHost" -}}
{{- printf "%s.%s.svc:5432/threadkeep" (include "threadkeep.postgresName" .) .Release.Namespace }}
{{- end }}

{{- define "threadkeep.postgresSettings" -}}
{{- $memory := include "threadkeep.mebibytes" .Values.database.bundled.resources.limits.memory | int }}
{{- $settings := dict
  "max_connections" .Values.database.bundled.maxConnections
  "shared_buffers" (printf "%dMB" (div $memory 4))
  "effective_cache_size" (printf "%dMB" (div (mul $memory 3) 4))
  "maintenance_work_mem" (printf "%dMB" (div $memory 16))
  "work_mem" "8MB"
  "huge_pages" "off"
  "wal_level" "replica"
  "wal_compression" "lz4"
  "max_wal_size" "2GB"
  "checkpoint_timeout" "15min"
  "random_page_cost" "1.1"
  "effective_io_concurrency" "64"
  "password_encryption" "scram-sha-256"
  "tcp_keepalives_idle" "30"
  "tcp_keepalives_interval" "10"
  "tcp_keepalives_count" "3"
  "tcp_user_timeout" "30s"
  "idle_in_transaction_session_timeout" "60s"
  "log_line_prefix" "'%m [%p] %q%u@%d '"
  "log_lock_waits" "on"
  "log_checkpoints" "on"
  "log_autovacuum_min_duration" "10s" }}
{{- range $name, $value := merge (dict) .Values.database.bundled.settings $settings }}
{{ $name }} = {{ $value }}
{{- end }}
{{- end }}

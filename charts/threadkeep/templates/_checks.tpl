{{- /* What no schema can say: values that contradict each other. All problems at once. */}}
{{- define "threadkeep.checks" -}}
{{- $problems := list }}
{{- $least := int (ceil (addf .Values.rollout.preStopSeconds .Values.settings.drainSeconds 20)) }}
{{- $grace := include "threadkeep.gracePeriod" . | int }}
{{- if lt $grace $least }}
{{- $problems = append $problems (printf "rollout.terminationGracePeriodSeconds: %d is too short for preStopSeconds + drainSeconds + 20 = %d; sockets would be cut" $grace $least) }}
{{- end }}
{{- with .Values.autoscaling }}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) }}
{{- $problems = append $problems (printf "autoscaling: minReplicas %d is above maxReplicas %d" (int .minReplicas) (int .maxReplicas)) }}
{{- end }}
{{- end }}
{{- $problems = concat $problems (include "threadkeep.databaseProblems" . | fromJsonArray) (include "threadkeep.edgeProblems" . | fromJsonArray) }}
{{- if $problems }}
{{- fail (printf "\n\nThese values do not fit together:\n  - %s\n" (join "\n  - " $problems)) }}
{{- end }}
{{- end }}

{{- define "threadkeep.databaseProblems" -}}
{{- $problems := list }}
{{- $bundled := .Values.database.bundled }}
{{- $external := .Values.database.external }}
{{- if eq .Values.database.mode "external" }}
{{- if not $external.existingSecret }}
{{- $problems = append $problems "database.external.existingSecret: required with database.mode external" }}
{{- end }}
{{- if $bundled.existingSecret }}
{{- $problems = append $problems "database.bundled.existingSecret is set, but database.mode is external: choose one" }}
{{- end }}
{{- else }}
{{- if $external.existingSecret }}
{{- $problems = append $problems "database.external.existingSecret is set, but database.mode is bundled: choose one" }}
{{- end }}
{{- $pods := int (.Values.autoscaling.enabled | ternary .Values.autoscaling.maxReplicas .Values.replicas) }}
{{- $needed := add (mul 2 $pods .Values.settings.databaseConnections) 8 | int }}
{{- if gt $needed (int $bundled.maxConnections) }}
{{- $problems = append $problems (printf "database.bundled.maxConnections: %d is less than 2 × %d pods × %d connections + 8 = %d; an update has old and new pods at once" (int $bundled.maxConnections) $pods (int .Values.settings.databaseConnections) $needed) }}
{{- end }}
{{- end }}
{{- if le (int .Values.settings.databaseConnections) (add .Values.settings.appendLanes 2 | int) }}
{{- $problems = append $problems "settings.databaseConnections: must be above appendLanes + 2 (LISTEN and probes), or no request finds one" }}
{{- end }}
{{- if and (eq .Values.redis.mode "bundled") (not .Values.redis.bundled.image) }}
{{- $problems = append $problems "redis.bundled.image: required with redis.mode bundled" }}
{{- end }}
{{- if and (eq .Values.redis.mode "external") (not .Values.redis.external.existingSecret) }}
{{- $problems = append $problems "redis.external.existingSecret: required with redis.mode external" }}
{{- end }}
{{- toJson $problems }}
{{- end }}

{{- define "threadkeep.edgeProblems" -}}
{{- $problems := list }}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) }}
{{- $problems = append $problems "ingress.hosts: required while ingress is enabled" }}
{{- end }}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) }}
{{- $problems = append $problems "httpRoute.parentRefs: required while httpRoute is enabled" }}
{{- end }}
{{- toJson $problems }}
{{- end }}

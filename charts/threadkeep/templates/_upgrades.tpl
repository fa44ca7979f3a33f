{{- /* What is known only beside the release that runs. `lookup` finds nothing without a cluster, and
     then nothing is compared. */}}

{{- /* Pods of the service; empty: not this chart's to say. Once there is an autoscaler the number is
     its own, and is repeated: a field that Helm no longer names falls back to one pod. */}}
{{- define "threadkeep.replicas" -}}
{{- $namespace := .Release.Namespace }}
{{- $name := include "threadkeep.fullname" . }}
{{- if not .Values.autoscaling.enabled }}
{{- .Values.replicas }}
{{- else }}
{{- with (lookup "apps/v1" "Deployment" $namespace $name).spec }}
{{- $least := lookup "autoscaling/v2" "HorizontalPodAutoscaler" $namespace $name | empty | ternary $.Values.autoscaling.minReplicas 0 }}
{{- max (int .replicas) (int $least) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "threadkeep.upgradeChecks" -}}
{{- if and .Release.IsUpgrade (eq .Values.database.mode "bundled") }}
{{- $namespace := .Release.Namespace }}
{{- $problems := list }}
{{- if lookup "apps/v1" "Deployment" $namespace (include "threadkeep.fullname" .) }}
{{- $problems = include "threadkeep.hookProblems" . | fromJsonArray }}
{{- end }}
{{- with lookup "apps/v1" "StatefulSet" $namespace (include "threadkeep.postgresName" .) }}
{{- $problems = concat $problems (include "threadkeep.claimProblems" (dict "values" $.Values.database.bundled.storage "live" .) | fromJsonArray) }}
{{- end }}
{{- if $problems }}
{{- fail (printf "\n\nThis upgrade would not come to its end:\n  - %s\n" (join "\n  - " $problems)) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The hook runs before anything of the release is made. */}}
{{- define "threadkeep.hookProblems" -}}
{{- $problems := list }}
{{- if and .Values.migrations.enabled .Values.migrations.hook }}
{{- $secret := include "threadkeep.databaseSecret" . }}
{{- $service := include "threadkeep.postgresName" . }}
{{- $way := "upgrade once with --set migrations.hook=false; the new pods migrate then" }}
{{- if not (lookup "v1" "Secret" .Release.Namespace $secret) }}
{{- $way = .Values.database.bundled.existingSecret | empty | ternary $way "make it first" }}
{{- $problems = append $problems (printf "migrations.hook: the hook needs the Secret %s, which does not exist: %s" $secret $way) }}
{{- else if not (lookup "v1" "Service" .Release.Namespace $service) }}
{{- $problems = append $problems (printf "migrations.hook: the hook needs the bundled database, and there is no Service %s yet: %s" $service $way) }}
{{- end }}
{{- end }}
{{- toJson $problems }}
{{- end }}

{{- /* The volume as it is and as it should be: (dict "values" <storage> "live" <StatefulSet>).
     Kubernetes lets nobody change a volumeClaimTemplate. */}}
{{- define "threadkeep.claimProblems" -}}
{{- $problems := list }}
{{- $name := .live.metadata.name }}
{{- $claim := first .live.spec.volumeClaimTemplates }}
{{- $is := dict
  "size" (toString $claim.spec.resources.requests.storage)
  "storageClassName" ($claim.spec.storageClassName | default "")
  "annotations" ($claim.metadata.annotations | default dict | toJson) }}
{{- $wanted := dict
  "size" (toString .values.size)
  "storageClassName" (.values.storageClassName | default "")
  "annotations" (.values.annotations | default dict | toJson) }}
{{- if eq (include "threadkeep.bytes" $is.size) (include "threadkeep.bytes" $wanted.size) }}
{{- $_ := set $wanted "size" $is.size }}
{{- end }}
{{- range $key := list "size" "storageClassName" "annotations" }}
{{- if ne (get $is $key) (get $wanted $key) }}
{{- $problems = append $problems (printf "database.bundled.storage.%s: is %q and should be %q, but Kubernetes does not change the claim of a StatefulSet: patch its PersistentVolumeClaim, `kubectl delete statefulset %s --cascade=orphan`, and upgrade again (docs/operations.md, A larger volume)" $key (get $is $key) (get $wanted $key) $name) }}
{{- end }}
{{- end }}
{{- toJson $problems }}
{{- end }}

{{- /* A quantity as a number, so that "1024Mi" is "1Gi"; the API server writes it in its own way. */}}
{{- define "threadkeep.bytes" -}}
{{- $number := regexFind "^[0-9.]+" . }}
{{- $unit := trimPrefix $number . }}
{{- $factors := dict
  "" 1 "m" 0.001 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000
  "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 }}
{{- if hasKey $factors $unit }}
{{- mulf (float64 $number) (get $factors $unit) | printf "%.0f" }}
{{- else }}
{{- . }}
{{- end }}
{{- end }}

{{- /* One suite: a suspended CronJob to make Jobs from, and what its pods may do in the cluster.
     (dict "root" $ "suite" "scaling" "marks" "scaling" "verbs" (list "list")); the verbs are for
     pods. */}}
{{- define "threadkeep.suite" -}}
{{- $values := .root.Values.suites }}
{{- $name := printf "%s-%s" (include "threadkeep.fullname" .root) .suite }}
{{- $labels := dict "root" .root "component" "suites" }}
{{- $require := list "service" "admin_dsn" "faults" }}
{{- if eq .root.Values.database.mode "bundled" }}{{ $require = append $require "database" }}{{ end }}
{{- $keys := include "threadkeep.databaseKeys" .root | fromJson }}
{{- $bundled := eq .root.Values.database.mode "bundled" }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "threadkeep.labels" $labels | nindent 4 }}
automountServiceAccountToken: false
---
# What the tests call, and nothing else: they look at pods of the release, delete them where that
# is the test, and write their results down.
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "threadkeep.labels" $labels | nindent 4 }}
rules:
  - {apiGroups: [""], resources: [pods], verbs: [{{ join ", " .verbs }}]}
  - {apiGroups: [""], resources: [configmaps], verbs: [create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "threadkeep.labels" $labels | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: {{ $name }}}
subjects:
  - {kind: ServiceAccount, name: {{ $name }}, namespace: {{ .root.Release.Namespace }}}
---
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "threadkeep.labels" $labels | nindent 4 }}
    threadkeep.dev/suite: {{ .suite }}
spec:
  # Never by itself: kubectl create job --from=cronjob/{{ $name }} RUN
  suspend: true
  schedule: "0 3 1 1 *"
  concurrencyPolicy: Forbid
  jobTemplate:
    metadata:
      labels:
        {{- include "threadkeep.labels" $labels | nindent 8 }}
        threadkeep.dev/suite: {{ .suite }}
    spec:
      # A test that fails once has failed.
      backoffLimit: 0
      activeDeadlineSeconds: {{ int $values.activeDeadlineSeconds }}
      ttlSecondsAfterFinished: {{ int $values.keepSeconds }}
      template:
        metadata:
          labels:
            {{- include "threadkeep.selectorLabels" $labels | nindent 12 }}
            threadkeep.dev/suite: {{ .suite }}
        spec:
          {{- include "threadkeep.podSecurity" (dict "root" .root "user" .root.Values.runAsUser) | replace "automountServiceAccountToken: false" "automountServiceAccountToken: true" | nindent 10 }}
          serviceAccountName: {{ $name }}
          restartPolicy: Never
          terminationGracePeriodSeconds: 60
          containers:
            - name: suite
              image: {{ include "threadkeep.image" (dict "root" .root "image" $values.image) }}
              imagePullPolicy: {{ $values.image.pullPolicy }}
              command: [pytest]
              args:
                - tests/scenarios
                - -m
                - {{ .marks }}
                - -p
                - no:cacheprovider
                - --junitxml=/tmp/results/junit.xml
                - --scenario-report=/tmp/results
                {{- if $values.judge }}
                - --judge
                {{- end }}
              env:
                - {name: THREADKEEP_TEST_BASE_URL, value: {{ include "threadkeep.url" .root | quote }}}
                - {name: THREADKEEP_TEST_PLATFORM_KEY_FILE, value: /etc/threadkeep/secrets/platform-key}
                - {name: THREADKEEP_TEST_ADMIN_DSN_FILE, value: /etc/threadkeep/secrets/admin-url}
                - {name: THREADKEEP_TEST_DATABASE_CONNECTIONS, value: {{ int .root.Values.settings.databaseConnections | quote }}}
                - {name: THREADKEEP_TEST_RELEASE, value: {{ .root.Release.Name }}}
                - {name: THREADKEEP_TEST_PROFILE, value: {{ $values.profile }}}
                - {name: THREADKEEP_TEST_REQUIRE, value: {{ join "," $require | quote }}}
                - name: THREADKEEP_TEST_RUN
                  valueFrom: {fieldRef: {fieldPath: "metadata.labels['batch.kubernetes.io/job-name']"}}
                - name: THREADKEEP_TEST_RUN_UID
                  valueFrom: {fieldRef: {fieldPath: "metadata.labels['batch.kubernetes.io/controller-uid']"}}
                - {name: THREADKEEP_COMMIT, value: {{ $values.image.digest | default ($values.image.tag | default .root.Chart.AppVersion) | quote }}}
              {{- include "threadkeep.containerSecurity" .root | nindent 14 }}
              resources:
                {{- toYaml $values.resources | nindent 16 }}
              volumeMounts:
                - {name: secrets, mountPath: /etc/threadkeep/secrets, readOnly: true}
                - {name: tmp, mountPath: /tmp}
          volumes:
            - name: secrets
              projected:
                defaultMode: 0440
                sources:
                  - secret:
                      name: {{ include "threadkeep.platformSecret" .root }}
                      items: [{key: {{ .root.Values.platformKey.key }}, path: platform-key}]
                  - secret:
                      name: {{ include "threadkeep.databaseSecret" .root }}
                      items: [{key: {{ $bundled | ternary "admin-url" $keys.migrate }}, path: admin-url}]
            - name: tmp
              emptyDir: {sizeLimit: 512Mi}
          {{- include "threadkeep.placement" (dict "values" $values) | nindent 10 }}
{{- end }}

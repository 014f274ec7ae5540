{{- define "fairlead.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}{{ $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}
{{- end }}

{{- define "fairlead.namespace" -}}
{{- if .Values.controller.scope.enabled }}{{ coalesce .Values.controller.scope.namespace .Values.namespaceOverride .Release.Namespace }}
{{- else }}{{ default .Release.Namespace .Values.namespaceOverride }}{{ end }}
{{- end }}

{{- define "fairlead.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "fairlead.labels" -}}
{{ include "fairlead.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "fairlead.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "fairlead.fullname" .) .Values.serviceAccount.name }}
{{- else }}{{ default "default" .Values.serviceAccount.name }}{{ end }}
{{- end }}

{{- define "fairlead.image" -}}
{{- with .Values.controller.image }}
{{- if .registry }}{{ .registry }}/{{ end }}{{ .image }}
{{- if .digest }}@{{ .digest }}{{ else }}:{{ default $.Chart.AppVersion .tag }}{{ end }}
{{- end }}
{{- end }}

{{/* The Lease, as the controller names it: from the class, unless told. */}}
{{- define "fairlead.lease" -}}
{{- with .Values.controller }}
{{- if .electionID }}{{ .electionID }}
{{- else if .controllerClasses }}{{ fail "controller.controllerClasses needs controller.electionID: the right to the Lease is given by its name" }}
{{- else }}fairlead-leader{{ end }}
{{- end }}
{{- end }}

{{/* The Lease of the replica that orders certificates, as the controller names it. */}}
{{- define "fairlead.acmeLease" -}}
{{- $lease := include "fairlead.lease" . }}
{{- if eq $lease "fairlead-leader" }}fairlead-acme{{ else }}{{ $lease }}-acme{{ end }}
{{- end }}

{{/* A number, boolean or text as text. Helm reads numbers of values files as floating point,
     which quote and printf write as 3.1536e+07. */}}
{{- define "fairlead.text" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ toJson . }}{{ end }}
{{- end }}

{{/* The flags that have a value of their own, which rights, ports or objects depend on as well. */}}
{{- define "fairlead.flags" -}}
http-address: controller.containerPort.http
https-address: controller.containerPort.https
admin-address: controller.containerPort.admin
acme: controller.acme.enabled
acme-directory: controller.acme.directory
acme-email: controller.acme.email
acme-challenge: controller.acme.challenge
configmap: controller.config
controller-class: controller.controllerClasses
drain-timeout: controller.drainTimeoutSeconds
election-id: controller.electionID
ingress-class: controller.ingressClass
ingress-class-by-name: controller.ingressClassByName
publish-service: controller.publishService
publish-status-address: controller.publishStatusAddress
shutdown-delay: controller.shutdownDelaySeconds
watch-ingress-without-class: controller.watchIngressWithoutClass
watch-namespace: controller.scope
{{- end }}

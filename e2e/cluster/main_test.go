package cluster

import (
	"fmt"
	"net"
	"testing"
	"time"
)

func TestMain(m *testing.M) { Main(m) }

// soon is how long tests wait for what should take a moment.
const soon = 30 * time.Second

const ourClass = `
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: fairlead}
spec: {controller: fairlead.dev/ingress-controller}
---
`

// site is an Ingress for host "NAME.example" with a Service.
func site(namespace, name string) string {
	return fmt.Sprintf(`
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: %[2]s, namespace: %[1]s}
spec:
  ingressClassName: fairlead
  rules: [{host: %[2]s.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: %[2]s, port: {number: 80}}}}]}}]
---
apiVersion: v1
kind: Service
metadata: {name: %[2]s, namespace: %[1]s}
spec: {ports: [{port: 80}]}
---
`, namespace, name)
}

// slice is an EndpointSlice of a Service with one endpoint.
func slice(namespace, service string, at *net.TCPAddr) string {
	return fmt.Sprintf(`
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %[2]s-1, namespace: %[1]s, labels: {kubernetes.io/service-name: %[2]s}}
addressType: IPv4
ports: [{name: "", port: %[3]d}]
endpoints: [{addresses: ["%[4]s"], conditions: {ready: true}}]
---
`, namespace, service, at.Port, at.IP)
}

// webDeployment is a Deployment whose Pods answer as e2e/echo does, behind the Service that
// site makes.
func webDeployment(namespace, name string, replicas int) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[2]s, namespace: %[1]s}
spec:
  replicas: %[3]d
  selector: {matchLabels: {app: %[2]s}}
  template:
    metadata: {labels: {app: %[2]s}}
    spec:
      containers:
      - name: web
        image: test.local/web:1
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 1, timeoutSeconds: 10}
---
`, namespace, name, replicas)
}

// callService is a Service "calls" for the gRPC of a webDeployment.
func callService(namespace, deployment string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: calls, namespace: %[1]s}
spec: {selector: {app: %[2]s}, ports: [{port: 80, targetPort: 8081, appProtocol: kubernetes.io/h2c}]}
---
`, namespace, deployment)
}

// webService is a Service of a webDeployment.
func webService(namespace, name string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: %[2]s, namespace: %[1]s}
spec: {selector: {app: %[2]s}, ports: [{port: 80, targetPort: http}]}
---
`, namespace, name)
}

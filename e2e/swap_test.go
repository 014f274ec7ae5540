package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/e2e/site"
)

// The table and the endpoints change 200 times under traffic. Nothing of it may show: no
// failed request, no closed connection, and every new route is first unknown and then
// served, with nothing between.
func TestSwapUnderLoad(t *testing.T) {
	const changes = 200
	at, err := site.Start(site.Options{Binary: binary, Dir: t.TempDir(), Flags: []string{"--access-log=off"}, Files: map[string][]byte{
		"secret.yaml":  []byte(certificate),
		"ingress.yaml": []byte(ingress("live", "swap.example", "blue")),
		"blue.yaml":    []byte(service("blue", "blue-1 blue-2 blue-3")),
		"green.yaml":   []byte(service("green", "green-1 green-2")),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := at.Stop(); err != nil {
			t.Error(err)
		}
	})
	before := generation(t, at)
	load := startTraffic(t, at, "swap.example")
	p := newProbe(at)

	change := []func(n int) error{
		// The live route leads to another backend.
		func(n int) error {
			want := []string{"green", "blue"}[n%2]
			if err := at.Apply("ingress.yaml", []byte(ingress("live", "swap.example", want))); err != nil {
				return err
			}
			return p.until("swap.example", func(code int, backend string) (bool, error) {
				if code != http.StatusOK {
					return false, fmt.Errorf("live route: want 200, got %d", code)
				}
				return strings.HasPrefix(backend, want), nil
			})
		},
		// Endpoints come and go, also that which holds the WebSocket and the stream.
		func(n int) error {
			names := []string{"blue-4 blue-5", "blue-1 blue-2 blue-3"}[n%2]
			if err := at.Apply("blue.yaml", []byte(service("blue", names))); err != nil {
				return err
			}
			return at.Apply("green.yaml", []byte(service("green", []string{"green-3", "green-1 green-2"}[n%2])))
		},
		// A new route.
		func(n int) error {
			host := fmt.Sprintf("new-%d.example", n)
			if err := at.Apply("new.yaml", []byte(ingress("new", host, "blue"))); err != nil {
				return err
			}
			return p.until(host, func(code int, _ string) (bool, error) {
				if code != http.StatusOK && code != http.StatusNotFound {
					return false, fmt.Errorf("new route %s: want 404 and then 200, got %d", host, code)
				}
				return code == http.StatusOK, nil
			})
		},
		// A certificate is renewed.
		func(int) error { return at.Apply("secret.yaml", []byte(certificate)) },
	}
	for i := range changes {
		if err := change[i%len(change)](i / len(change)); err != nil {
			t.Errorf("change %d: %v", i, err)
			break
		}
	}
	load.finish(t)
	// Each of the hundred changes of a route was waited for, so each had a table.
	if grown := generation(t, at) - before; grown < changes/2 {
		t.Errorf("want at least %d new tables, got %d", changes/2, grown)
	}
}

func ingress(name, host, service string) string {
	return fmt.Sprintf(`apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: %s}
spec:
  tls: [{hosts: [%[2]s], secretName: cert}]
  rules:
  - host: %[2]s
    http:
      paths:
      - path: /
        pathType: Prefix
        backend: {service: {name: %[3]s, port: {number: 80}}}
`, name, host, service)
}

func service(name, backends string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Service
metadata: {name: %s, annotations: {e2e/backends: %s}}
spec:
  ports: [{port: 80}]
`, name, backends)
}

const certificate = `apiVersion: v1
kind: Secret
metadata:
  name: cert
  annotations: {e2e/certificate: "swap.example"}
type: kubernetes.io/tls
`

// probe asks a site over connections of its own.
type probe struct{ client http.Client }

func newProbe(at *site.Site) *probe {
	return &probe{http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, at.Address("http"))
		},
	}}}
}

// get returns the status and the backend that answered, if any.
func (p *probe) get(host string) (code int, backend string, err error) {
	resp, err := p.client.Get("http://" + host + "/probe")
	if err != nil {
		return 0, "", err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode, resp.Header.Get("Echo-Backend"), err
}

// until asks again and again until done says so, or an error.
func (p *probe) until(host string, done func(code int, backend string) (bool, error)) error {
	deadline := time.Now().Add(20 * time.Second)
	for {
		code, backend, err := p.get(host)
		if err != nil {
			return err
		}
		if ok, err := done(code, backend); ok || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: still %d from %q", host, code, backend)
		}
		<-time.After(2 * time.Millisecond)
	}
}

// generation is the number of the table that the site serves.
func generation(t *testing.T, at *site.Site) int {
	t.Helper()
	resp, err := http.Get("http://" + at.Address("admin") + "/debug/table")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var n int
	if _, err := fmt.Fscanf(resp.Body, "# generation %d\n", &n); err != nil {
		t.Fatalf("/debug/table: want it to begin with # generation N: %v", err)
	}
	return n
}

package e2e_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
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

	// What is live: each change is waited for, so none is lost among others.
	color, endpoints := "blue", map[string]string{"blue": "blue-1 blue-2 blue-3", "green": "green-1 green-2"}
	live := func(code int, backend string) (bool, error) {
		if code != http.StatusOK {
			return false, fmt.Errorf("live route: want 200, got %d", code)
		}
		return slices.Contains(strings.Fields(endpoints[color]), backend), nil
	}
	change := []func(n int) error{
		// The live route leads to another backend.
		func(n int) error {
			color = []string{"green", "blue"}[n%2]
			if err := at.Apply("ingress.yaml", []byte(ingress("live", "swap.example", color))); err != nil {
				return err
			}
			return p.until("swap.example", live)
		},
		// All its endpoints are others, also that which holds the WebSocket and the stream.
		func(n int) error {
			endpoints[color] = fmt.Sprintf("%s-%d %[1]s-%d", color, 10+n%5, 20+n%3)
			if err := at.Apply(color+".yaml", []byte(service(color, endpoints[color]))); err != nil {
				return err
			}
			return p.until("swap.example", live)
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
		func(int) error {
			old, err := serial(at, "swap.example")
			if err != nil {
				return err
			}
			if err := at.Apply("secret.yaml", []byte(certificate)); err != nil {
				return err
			}
			return poll("a renewed certificate", func() (bool, error) {
				now, err := serial(at, "swap.example")
				return now != old, err
			})
		},
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
	return poll(host, func() (bool, error) {
		code, backend, err := p.get(host)
		if err != nil {
			return false, err
		}
		return done(code, backend)
	})
}

// poll repeats done until it says so, or an error.
func poll(what string, done func() (bool, error)) error {
	deadline := time.Now().Add(20 * time.Second)
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: still not there", what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

// serial is the serial number of the certificate that a new handshake gets.
func serial(at *site.Site, host string) (string, error) {
	conn, err := tls.Dial("tcp", at.Address("https"), &tls.Config{ServerName: host, RootCAs: at.Roots()})
	if err != nil {
		return "", err
	}
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String(), conn.Close()
}

// generation is the number of the table that the site serves.
func generation(t *testing.T, at *site.Site) int {
	t.Helper()
	_, table, err := at.Admin("/debug/table")
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if _, err := fmt.Sscanf(string(table), "# generation %d\n", &n); err != nil {
		t.Fatalf("/debug/table: want it to begin with # generation N: %v\n%s", err, table)
	}
	return n
}

package e2e_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/e2e/ca"
	"github.com/fairlead-ingress/fairlead/e2e/site"
)

// issued is a site whose certificates come from an authority.
type issued struct {
	*site.Site
	ca       *ca.CA
	options  site.Options
	cache    string
	rootFile string
}

func startAuthority(t *testing.T, o ca.Options) *ca.CA {
	t.Helper()
	authority, err := ca.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(authority.Close)
	return authority
}

// startIssued starts a site with --acme.
func startIssued(t *testing.T, authority *ca.CA, files map[string][]byte, flags ...string) *issued {
	t.Helper()
	s := &issued{ca: authority, cache: filepath.Join(t.TempDir(), "cache"), rootFile: filepath.Join(t.TempDir(), "ca.pem")}
	if err := os.WriteFile(s.rootFile, authority.ServerRoot(), 0o600); err != nil {
		t.Fatal(err)
	}
	s.options = site.Options{Binary: binary, Dir: t.TempDir(), Files: files, Flags: append([]string{
		"--acme", "--acme-directory=" + authority.Directory(), "--acme-ca-file=" + s.rootFile, "--acme-cache=" + s.cache,
	}, flags...)}
	s.restart(t)
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// restart starts it, again after it was ended.
func (s *issued) restart(t *testing.T) {
	t.Helper()
	at, err := site.Start(s.options)
	if err != nil {
		t.Fatal(err)
	}
	s.Site = at
	s.ca.HTTP.Lead(at.Address("http"))
	s.ca.TLS.Lead(at.Address("https"))
}

// leaf is the certificate that a client gets for host, and whether it accepts it.
func (s *issued) leaf(host string) (*x509.Certificate, error) {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", s.Address("https"), &tls.Config{ServerName: host, RootCAs: s.ca.Roots()})
	if err != nil {
		return nil, err
	}
	return conn.ConnectionState().PeerCertificates[0], conn.Close()
}

// wait waits until clients accept the certificates of hosts.
func (s *issued) wait(t *testing.T, hosts ...string) {
	t.Helper()
	for _, host := range hosts {
		var last error
		if err := pollFor(time.Minute, host+" has a certificate", func() (bool, error) {
			_, last = s.leaf(host)
			return last == nil, nil
		}); err != nil {
			t.Fatalf("%v: %v\n%s", err, last, s.Log())
		}
	}
}

// pollFor is poll with another deadline.
func pollFor(within time.Duration, what string, done func() (bool, error)) error {
	deadline := time.Now().Add(within)
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %v: %s", within, what)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// problems are those of /debug/problems with a reason.
func (s *issued) problems(t *testing.T, reason string) (texts []string) {
	t.Helper()
	_, body, err := s.Admin("/debug/problems")
	if err != nil {
		t.Fatal(err)
	}
	var all []struct{ Reason, Text string }
	if err := json.Unmarshal(body, &all); err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.Reason == reason {
			texts = append(texts, p.Text)
		}
	}
	return texts
}

// acmeIngress asks for certificates for hosts. Its rules redirect to HTTPS and ask for passwords
// that nobody has, which must not be in the way.
func acmeIngress(name string, hosts ...string) []byte {
	var rules bytes.Buffer
	for _, host := range hosts {
		fmt.Fprintf(&rules, `
  - host: %s
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}`, host)
	}
	return fmt.Appendf(nil, `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: %s
  annotations:
    fairlead.dev/acme: "true"
    fairlead.dev/ssl-redirect: "true"
    fairlead.dev/whitelist-source-range: 192.0.2.1/32
spec:
  rules:%s
`, name, rules.String())
}

var web = []byte(service("web", "web-1"))

func noMoreOrdersThan(t *testing.T, authority *ca.CA, n int, hosts ...string) {
	t.Helper()
	want := make(map[string]int)
	for _, host := range hosts {
		want[host] = n
	}
	if got := authority.Orders(); !maps.Equal(got, want) {
		t.Errorf("orders were made for %v, want %v", got, want)
	}
}

// Certificates are obtained with one order a host, though the authority refuses nonces and the
// hosts' own rules redirect and refuse; they survive a restart without another order; nothing
// that is secret is shown, and files are the owner's alone.
func TestACME(t *testing.T) {
	t.Parallel()
	hosts := []string{"a.example", "b.example", "c.example", "d.example"}
	authority := startAuthority(t, ca.Options{NonceReject: 30})
	s := startIssued(t, authority, map[string][]byte{
		"acme.yaml": acmeIngress("shop", hosts...), "web.yaml": web,
		// A user's rule for the path of challenges takes other tokens, as solvers' do, and not ours.
		"solver.yaml": []byte(strings.Replace(ingress("solver", "a.example", "web"), "path: /", "path: /.well-known/acme-challenge/", 1)),
	}, "--acme-email=ops@example.com")
	s.wait(t, hosts...)
	noMoreOrdersThan(t, authority, 1, hosts...)
	// A certificate is served a little before the Problem is gone and before it is counted.
	var remain []string
	if err := pollFor(time.Minute, "no Problem is left, and four hosts and orders are counted", func() (bool, error) {
		remain = append(s.problems(t, "CertificatePending"), s.problems(t, "CertificateNotIssued")...)
		_, metrics, err := s.Admin("/metrics")
		counted := bytes.Contains(metrics, []byte(`fairlead_acme_hosts{state="served"} 4`)) && bytes.Contains(metrics, []byte(`fairlead_acme_orders_total{outcome="issued"} 4`))
		return len(remain) == 0 && counted, err
	}); err != nil {
		t.Fatalf("%v\n%q\n%s", err, remain, s.Log())
	}
	if code, backend, err := newProbe(s.Site).path("a.example", "/.well-known/acme-challenge/of-a-solver"); err != nil || backend != "web-1" {
		t.Errorf("the token of a solver: %d from %q, %v; want its backend", code, backend, err)
	}
	s.showsNoSecrets(t)

	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	s.restart(t)
	s.wait(t, hosts...)
	// A host that is new makes sure that the issuer has been through the others.
	if err := s.Apply("more.yaml", acmeIngress("more", "e.example")); err != nil {
		t.Fatal(err)
	}
	s.wait(t, "e.example")
	noMoreOrdersThan(t, authority, 1, append(hosts, "e.example")...)
}

// showsNoSecrets looks for what is stored in all that is shown.
func (s *issued) showsNoSecrets(t *testing.T) {
	t.Helper()
	shown := s.Log()
	for _, path := range []string{"/metrics", "/debug/problems", "/debug/certs", "/debug/table", "/debug/explain?url=https://a.example/", "/"} {
		_, body, err := s.Admin(path)
		if err != nil {
			t.Fatal(err)
		}
		shown += string(body)
	}
	files := 0
	err := filepath.WalkDir(s.cache, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		if filepath.Ext(path) != ".json" {
			return nil
		}
		files++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var record map[string][]byte
		if err := json.Unmarshal(text, &record); err != nil {
			return err
		}
		for _, key := range []string{"tls.key", "answer", "alpn.key"} {
			for line := range strings.Lines(string(record[key])) {
				if line = strings.TrimSpace(line); len(line) > 20 && !strings.HasPrefix(line, "-----") && strings.Contains(shown, line) {
					t.Errorf("%s of %s is shown", key, path)
				}
			}
		}
		return nil
	})
	if err != nil || files < 5 {
		t.Errorf("%d files in the cache, %v", files, err)
	}
	if !strings.Contains(shown, `fairlead_acme_hosts{state="served"} 4`) || !strings.Contains(shown, `fairlead_acme_orders_total{outcome="issued"} 4`) {
		t.Error("/metrics does not have four hosts and four orders")
	}
}

// path asks for a path of a host.
func (p *probe) path(host, path string) (code int, backend string, err error) {
	resp, err := p.client.Get("http://" + host + path)
	if err != nil {
		return 0, "", err
	}
	return resp.StatusCode, resp.Header.Get("Echo-Backend"), resp.Body.Close()
}

// A process that is killed in the middle of its orders loses nothing: the next one goes on with
// the same.
func TestACMEKilledMidOrder(t *testing.T) {
	t.Parallel()
	hosts := []string{"a.example", "b.example", "c.example"}
	for name, at := range map[string]string{"before validation": ca.ChallengePath, "before finalization": ca.FinalizePath, "before the certificate": ca.CertificatePath} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			authority := startAuthority(t, ca.Options{})
			var waiting atomic.Int32
			authority.SetFault(func(r *http.Request, _ []byte) int {
				if strings.HasPrefix(r.URL.Path, at) {
					waiting.Add(1)
					<-r.Context().Done()
					return ca.Cut
				}
				return 0
			})
			s := startIssued(t, authority, map[string][]byte{"acme.yaml": acmeIngress("shop", hosts...), "web.yaml": web})
			if err := pollFor(time.Minute, "all are in the middle of an order", func() (bool, error) { return waiting.Load() >= 3, nil }); err != nil {
				t.Fatalf("%v\n%s", err, s.Log())
			}
			if err := s.Kill(); err != nil {
				t.Fatal(err)
			}
			authority.SetFault(nil)
			s.restart(t)
			s.wait(t, hosts...)
			noMoreOrdersThan(t, authority, 1, hosts...)
		})
	}
}

// Certificates are renewed before they end, and no handshake fails meanwhile.
func TestACMERenewal(t *testing.T) {
	t.Parallel()
	authority := startAuthority(t, ca.Options{Life: 20 * time.Second})
	s := startIssued(t, authority, map[string][]byte{"acme.yaml": acmeIngress("shop", "a.example"), "web.yaml": web}, "--acme-renew-before=17s")
	s.wait(t, "a.example")
	serials := make(map[string]bool)
	handshakes := 0
	if err := pollFor(time.Minute, "it is renewed twice", func() (bool, error) {
		leaf, err := s.leaf("a.example")
		if err != nil {
			return false, err
		}
		handshakes++
		serials[leaf.SerialNumber.String()] = true
		return len(serials) == 3, nil
	}); err != nil {
		t.Fatalf("after %d handshakes: %v\n%s", handshakes, err, s.Log())
	}
	t.Logf("%d handshakes, none failed", handshakes)
}

// A limit of the authority is shown, in the certificate too, and heeded.
func TestACMERateLimited(t *testing.T) {
	t.Parallel()
	authority := startAuthority(t, ca.Options{})
	var asked atomic.Int32
	authority.SetFault(func(r *http.Request, _ []byte) int {
		if r.URL.Path == ca.NewOrderPath {
			asked.Add(1)
			return http.StatusTooManyRequests
		}
		return 0
	})
	s := startIssued(t, authority, map[string][]byte{"acme.yaml": acmeIngress("shop", "a.example"), "web.yaml": web})
	if err := pollFor(time.Minute, "the Problem", func() (bool, error) { return len(s.problems(t, "CertificateNotIssued")) == 1, nil }); err != nil {
		t.Fatalf("%v\n%s", err, s.Log())
	}
	text := s.problems(t, "CertificateNotIssued")[0]
	for _, part := range []string{"no certificate of a.example yet", "429", "rate-limited", "next try at "} {
		if !strings.Contains(text, part) {
			t.Errorf("the Problem is %q, want %q in it", text, part)
		}
	}
	conn, err := tls.Dial("tcp", s.Address("https"), &tls.Config{ServerName: "a.example", InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	if cn := conn.ConnectionState().PeerCertificates[0].Subject.CommonName; !strings.HasPrefix(cn, "fairlead: no certificate of a.example yet") {
		t.Errorf("the default certificate says %q", cn)
	}
	_ = conn.Close()
	_, body, err := s.Admin("/debug/explain?url=https://a.example/")
	if err != nil || !strings.Contains(string(body), "CertificateNotIssued") || !strings.Contains(string(body), "rate-limited") {
		t.Errorf("explain does not say it: %v\n%s", err, body)
	}

	// Neither a restart nor a change of something else is a reason to ask again.
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	s.restart(t)
	if err := s.Apply("more.yaml", acmeIngress("more", "b.example")); err != nil {
		t.Fatal(err)
	}
	if err := pollFor(time.Minute, "the Problem of the other host", func() (bool, error) { return len(s.problems(t, "CertificateNotIssued")) == 2, nil }); err != nil {
		t.Fatalf("%v\n%s", err, s.Log())
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("%d orders were tried, want one for each host", n)
	}
}

// A validation that fails is told of with what the authority says, and tried again with an order
// of its own; a server that fails is asked again for the same.
func TestACMERefused(t *testing.T) {
	t.Parallel()
	authority := startAuthority(t, ca.Options{})
	var failed atomic.Int32
	authority.SetFault(func(r *http.Request, _ []byte) int {
		if strings.HasPrefix(r.URL.Path, ca.FinalizePath) && failed.Add(1) <= 2 {
			return http.StatusInternalServerError
		}
		return 0
	})
	s := startIssued(t, authority, map[string][]byte{"web.yaml": web})
	authority.HTTP.Lead() // nobody answers
	if err := s.Apply("acme.yaml", acmeIngress("shop", "a.example")); err != nil {
		t.Fatal(err)
	}
	if err := pollFor(time.Minute, "the Problem", func() (bool, error) { return len(s.problems(t, "CertificateNotIssued")) == 1, nil }); err != nil {
		t.Fatalf("%v\n%s", err, s.Log())
	}
	if text := s.problems(t, "CertificateNotIssued")[0]; !strings.Contains(text, "authorization error for a.example") || !strings.Contains(text, "refused") {
		t.Errorf("the Problem is %q", text)
	}
	authority.HTTP.Lead(s.Address("http"))
	s.wait(t, "a.example")
	noMoreOrdersThan(t, authority, 2, "a.example")
	if failed.Load() < 3 {
		t.Error("finalization was not tried again")
	}
}

// The TLS challenge needs no HTTP port.
func TestACMEByTLS(t *testing.T) {
	t.Parallel()
	authority := startAuthority(t, ca.Options{})
	s := startIssued(t, authority, map[string][]byte{"acme.yaml": acmeIngress("shop", "a.example", "b.example"), "web.yaml": web}, "--acme-challenge=tls-alpn-01")
	s.wait(t, "a.example", "b.example")
	noMoreOrdersThan(t, authority, 1, "a.example", "b.example")
	if n := authority.HTTP.Connections(); n > 0 {
		t.Errorf("%d connections to the HTTP port", n)
	}
	// Without a challenge nobody can agree on its protocol.
	_, err := tls.Dial("tcp", s.Address("https"), &tls.Config{ServerName: "a.example", InsecureSkipVerify: true, NextProtos: []string{"acme-tls/1"}})
	if err == nil || !strings.Contains(err.Error(), "no application protocol") {
		t.Errorf("a handshake for acme-tls/1: %v", err)
	}
}

// An authority that wants accounts bound gets the binding, and the reason why there is none.
func TestACMEExternalAccount(t *testing.T) {
	t.Parallel()
	key := base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	authority := startAuthority(t, ca.Options{Binding: map[string]string{"kid-1": key}})
	file := filepath.Join(t.TempDir(), "eab")
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	without := startIssued(t, authority, map[string][]byte{"acme.yaml": acmeIngress("shop", "a.example"), "web.yaml": web})
	if err := pollFor(time.Minute, "the Problem", func() (bool, error) { return len(without.problems(t, "CertificateNotIssued")) == 1, nil }); err != nil {
		t.Fatalf("%v\n%s", err, without.Log())
	}
	if text := without.problems(t, "CertificateNotIssued")[0]; !strings.Contains(text, "account: ") || !strings.Contains(text, "externalAccountRequired") {
		t.Errorf("the Problem is %q", text)
	}
	s := startIssued(t, authority, map[string][]byte{"acme.yaml": acmeIngress("shop", "a.example"), "web.yaml": web},
		"--acme-eab-kid=kid-1", "--acme-eab-key-file="+file)
	s.wait(t, "a.example")
}

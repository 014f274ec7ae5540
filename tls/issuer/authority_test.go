package issuer

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeAuthority speaks ACME as far as an honest client can tell: it verifies no signatures and no
// challenges. Package e2e tests with an authority that does.
type fakeAuthority struct {
	server *httptest.Server
	url    string // of the server
	key    *ecdsa.PrivateKey
	life   time.Duration
	// refuses lets every validation fail, some time after it was asked for.
	refuses bool

	mu       sync.Mutex
	asked    []string // the paths of requests, without numbers
	orders   []*fakeOrder
	accounts int
	failed   map[string][]time.Time // when validations were asked for that fail, by host
	// fault, if set, is told of each request before it is answered; a status other than 0 is a
	// refusal of the kind.
	fault func(path string) (status int, kind string)
}

type fakeOrder struct {
	host, status string
	chain        []byte
	fails        time.Time // when it becomes invalid; zero for never
}

func newFakeAuthority(t *testing.T) *fakeAuthority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &fakeAuthority{key: key, life: 90 * 24 * time.Hour}
	a.server = httptest.NewTLSServer(http.HandlerFunc(a.serve))
	a.url = a.server.URL
	t.Cleanup(a.server.Close)
	return a
}

func (a *fakeAuthority) authority() Authority {
	roots := x509.NewCertPool()
	roots.AddCert(a.server.Certificate())
	return Authority{Directory: a.server.URL + "/dir", Roots: roots}
}

// count is how often a path was asked for.
func (a *fakeAuthority) count(path string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, p := range a.asked {
		if p == path {
			n++
		}
	}
	return n
}

func (a *fakeAuthority) setFault(fault func(path string) (int, string)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fault = fault
}

// once refuses the first request for a path.
func once(path string, status int, kind string) func(string) (int, string) {
	done := false
	return func(p string) (int, string) {
		if p == path && !done {
			done = true
			return status, kind
		}
		return 0, ""
	}
}

func (a *fakeAuthority) serve(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	path, number, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	n := 0
	fmt.Sscan(number, &n)
	w.Header().Set("Replay-Nonce", rand.Text())
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodHead {
		return
	}
	a.asked = append(a.asked, path)
	if a.fault != nil {
		if status, kind := a.fault(path); status != 0 {
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"type":"urn:ietf:params:acme:error:%s","detail":"a fault","status":%d}`, kind, status)
			return
		}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	says := said(body)
	url := func(path string, n int) string { return fmt.Sprintf("%s/%s/%d", a.url, path, n) }
	var o *fakeOrder
	if n < len(a.orders) {
		o = a.orders[n]
		if !o.fails.IsZero() && time.Now().After(o.fails) {
			o.status = "invalid"
		}
	}
	order := func() map[string]any {
		return map[string]any{
			"status": o.status, "identifiers": []any{map[string]string{"type": "dns", "value": o.host}}, "authorizations": []string{url("authz", n)},
			"finalize": url("finalize", n), "certificate": url("cert", n),
		}
	}
	switch path {
	case "dir":
		reply(w, 200, map[string]string{
			"newNonce": a.url + "/nonce", "newAccount": a.url + "/account", "newOrder": a.url + "/order",
		})
	case "account":
		a.accounts++
		w.Header().Set("Location", url("account", a.accounts))
		reply(w, 201, map[string]string{"status": "valid"})
	case "order":
		identifiers, _ := says["identifiers"].([]any)
		first, _ := identifiers[0].(map[string]any)
		o, n = &fakeOrder{host: fmt.Sprint(first["value"]), status: "pending"}, len(a.orders)
		a.orders = append(a.orders, o)
		w.Header().Set("Location", url("o", n))
		reply(w, 201, order())
	case "o":
		reply(w, 200, order())
	case "authz":
		status := o.status
		if status != "pending" && status != "invalid" {
			status = "valid"
		}
		challenge := status
		if status == "pending" && !o.fails.IsZero() {
			challenge = "processing"
		}
		reply(w, 200, map[string]any{"status": status, "identifier": map[string]string{"type": "dns", "value": o.host}, "challenges": []any{
			map[string]string{"type": "dns-01", "url": url("chal", n), "status": status, "token": "dns"},
			map[string]string{"type": "http-01", "url": url("chal", n), "status": challenge, "token": fmt.Sprint("token-", n)},
		}})
	case "chal":
		if a.refuses {
			o.fails = time.Now().Add(2 * time.Second)
			a.failed[o.host] = append(a.failed[o.host], time.Now())
		} else {
			o.status = "ready"
		}
		reply(w, 200, map[string]string{"type": "http-01", "url": url("chal", n), "status": "processing"})
	case "finalize":
		der, err := base64.RawURLEncoding.DecodeString(fmt.Sprint(says["csr"]))
		if err == nil {
			o.chain, err = a.issue(der)
		}
		if err != nil {
			reply(w, 400, map[string]string{"type": "urn:ietf:params:acme:error:badCSR", "detail": err.Error()})
			return
		}
		o.status = "valid"
		reply(w, 200, order())
	case "cert":
		_, _ = w.Write(o.chain)
	default:
		reply(w, 404, map[string]string{"type": "urn:ietf:params:acme:error:malformed", "detail": "no such thing"})
	}
}

func said(body []byte) map[string]any {
	var jws struct{ Payload string }
	_ = json.Unmarshal(body, &jws) // requests without payload say nothing
	text, _ := base64.RawURLEncoding.DecodeString(jws.Payload)
	says := make(map[string]any)
	_ = json.Unmarshal(text, &says)
	return says
}

func reply(w http.ResponseWriter, status int, v any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func (a *fakeAuthority) issue(csr []byte) ([]byte, error) {
	request, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: request.DNSNames,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(a.life),
	}
	parent := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fake"}}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, request.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// memory is a Store of which each value is one process's: like a cluster's, it refuses to replace
// what another process has written.
type memory struct {
	*shared
	mu   sync.Mutex
	seen map[string]int // versions by key
}

type shared struct {
	mu       sync.Mutex
	records  map[string]map[string][]byte
	versions map[string]int
	answers  *Answers
	fault    func(op, kind, name string) error
}

func newMemory() *memory {
	return (&shared{records: make(map[string]map[string][]byte), versions: make(map[string]int), answers: new(Answers)}).process()
}

// process is a Store of another process with the same records.
func (s *shared) process() *memory { return &memory{shared: s, seen: make(map[string]int)} }

var errConflict = errors.New("another process has written")

func (m *memory) do(op, kind, name string, f func(key string) error) error {
	m.shared.mu.Lock()
	defer m.shared.mu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fault != nil {
		if err := m.fault(op, kind, name); err != nil {
			return err
		}
	}
	return f(kind + " " + name)
}

func (m *memory) Get(_ context.Context, kind, name string) (r map[string][]byte, err error) {
	err = m.do("get", kind, name, func(key string) error {
		m.seen[key] = m.versions[key]
		r = maps.Clone(m.records[key])
		return nil
	})
	return r, err
}

func (m *memory) Put(_ context.Context, kind, name string, r map[string][]byte) error {
	return m.do("put", kind, name, func(key string) error {
		if m.seen[key] != m.versions[key] {
			return errConflict
		}
		m.versions[key]++
		m.seen[key] = m.versions[key]
		m.records[key] = maps.Clone(r)
		if kind == KindOrder {
			m.answers.Set(name, r)
		}
		return nil
	})
}

func (m *memory) Delete(_ context.Context, kind, name string) error {
	return m.do("delete", kind, name, func(key string) error {
		delete(m.records, key)
		m.versions[key]++
		m.seen[key] = m.versions[key]
		if kind == KindOrder {
			m.answers.Set(name, nil)
		}
		return nil
	})
}

func (m *memory) List(_ context.Context, kind string) (names []string, err error) {
	err = m.do("list", kind, "", func(string) error {
		for key := range m.records {
			if name, ok := strings.CutPrefix(key, kind+" "); ok {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return nil
	})
	return names, err
}

// have returns a record, nil for none.
func (s *shared) have(kind, name string) map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.records[kind+" "+name]
}

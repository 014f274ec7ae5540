package script

import (
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fairlead-ingress/fairlead/e2e/echo"
)

// direct is a Site without a controller: its listeners are echo backends.
type direct struct {
	plain, secure *httptest.Server
	applied       []string
}

func newDirect(t *testing.T, h http.Handler) *direct {
	d := &direct{plain: httptest.NewServer(h), secure: httptest.NewUnstartedServer(h)}
	d.secure.EnableHTTP2 = true
	d.secure.StartTLS()
	t.Cleanup(d.plain.Close)
	t.Cleanup(d.secure.Close)
	return d
}

func (d *direct) Apply(name string, objects []byte) error {
	d.applied = append(d.applied, name+"="+string(objects))
	return nil
}

func (d *direct) Delete(name string) error {
	d.applied = append(d.applied, "no "+name)
	return nil
}

func (d *direct) Address(listener string) string {
	if listener == "https" {
		return d.secure.Listener.Addr().String()
	}
	return d.plain.Listener.Addr().String()
}

func (*direct) Client() string { return "127.0.0.1" }
func (*direct) Log() string    { return "" }

func (d *direct) Roots() *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AddCert(d.secure.Certificate())
	return roots
}

// A script that holds, with every subject and operator in it.
func TestPlay(t *testing.T) {
	site := newDirect(t, echo.Backend{Name: "one", Port: "http"})
	s, err := Parse("x", []byte(`
-- later/a.yaml --
text
-- script --
GET http://a.example/%2e/../x?q
> X-A: 1
> X-A: $client
backend == one
proto == HTTP/1.1
header echo-backend ~ ^o
header nothing absent
header nothing != one
header nothing !contains one
header content-type contains json
body contains "backend"
body !~ ^x
body.size != 0
seen.port == http
seen.method == GET
seen.target == /%2e/../x?q
seen.host == a.example
seen.proto == HTTP/1.1
seen.tls == false
seen.framing == none
seen.header x-a == 1, 127.0.0.1
seen.body absent
error absent
interim absent

POST https://example.com/
> Echo-Trailer: X-Sum: 1
> Echo-Interim: 103 X-Early: 2
>> a
>> b
with http/2
with trailer X-T: v
proto == HTTP/2.0
trailer x-sum == 1
interim == 103
interim.header x-early == 2
seen.body contains a
seen.body.size == 3
seen.framing == chunked
seen.trailer x-t == v
tls.verified == true
tls.names contains example.com
tls.alpn == h2
tls.version == TLS 1.3
tls.key == RSA
tls.cn ==

stream GET http://a.example/
> Echo-Stream: first
body contains data: 1

WS ws://a.example/
send one
send two
received == one, two

GET http://a.example/
> Echo-Break: head
error present

RAW http
| GET / HTTP/1.1
| Host: a.example
| Connection: close
|
connection == closed
seen.header connection == close

RAW https
| GET /raw HTTP/1.1
| Host: a.example
|
connection == open
seen.target == /raw

apply later/a.yaml
delete a.yaml
GET admin:/y
seen.target == /y
`))
	if err != nil {
		t.Fatal(err)
	}
	Play(t, s, site)
	if got, want := strings.Join(site.applied, " "), "a.yaml=text\n no a.yaml"; got != want {
		t.Errorf("applied %q, want %q", got, want)
	}
}

// Waiting ends with the first answer that is as expected, and repeats count backends.
func TestPlayWaitAndRepeat(t *testing.T) {
	var n atomic.Int64
	site := newDirect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := []string{"a", "b", "c"}[n.Add(1)%3]
		if n.Load() < 20 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		echo.Backend{Name: name}.ServeHTTP(w, r)
	}))
	s, err := Parse("x", []byte("-- script --\nwait GET http://a/\ncode == 200\nrepeat 3 GET http://a/\nbackends == 3\nbackend ~ [abc]\n"))
	if err != nil {
		t.Fatal(err)
	}
	Play(t, s, site)
	if n.Load() != 23 {
		t.Errorf("%d requests were sent, want 20 and 3", n.Load())
	}
}

// What does not hold fails, and the report has the line, what was wanted and what came.
func TestPlayFails(t *testing.T) {
	site := newDirect(t, echo.Backend{Name: "one"})
	tests := map[string]struct {
		script string
		want   []string
	}{
		"the code that nobody named": {"GET http://a/\n> Echo-Status: 404\nbackend == one", []string{"want code 200, got 404"}},
		"no answer":                  {"GET http://a/\n> Echo-Break: head", []string{"EOF"}},
		"equal":                      {"GET http://a/\nbackend == two", []string{"line 3: want backend == two", "got one", "HTTP/1.1 200"}},
		"absent is not empty":        {"GET http://a/\nheader nothing ==", []string{"got (absent)"}},
		"absent":                     {"GET http://a/\nheader echo-backend absent", []string{"got one"}},
		"present":                    {"GET http://a/\nheader nothing present", []string{"got (absent)"}},
		"unequal":                    {"GET http://a/\nbackend != one", []string{"got one"}},
		"contains":                   {"GET http://a/\nbackend contains x", []string{"got one"}},
		"contains not":               {"GET http://a/\nbackend !contains n", []string{"got one"}},
		"matches":                    {"GET http://a/\nbackend ~ ^n", []string{"got one"}},
		"matches not":                {"GET http://a/\nbackend !~ ^o", []string{"got one"}},
		"all mistakes":               {"GET http://a/\nbackend == two\nseen.tls == true", []string{"line 3", "line 4"}},
		"each of a repeat":           {"repeat 3 GET http://a/\nbackend == two", []string{"answer 1 of 3"}},
		"the code of each":           {"repeat 3 GET http://a/\n> Echo-Status: 404\nbackends == 1", []string{"answer 1 of 3", "want code 200"}},
		"backends":                   {"repeat 3 GET http://a/\nbackends == 2", []string{"answer 3 of 3", "got 1"}},
		"a stream that ends":         {"stream GET http://a/\nbody contains never", []string{"want what is expected while the response is open"}},
		"a cut body":                 {"GET http://a/\n> Echo-Break: body", []string{"unexpected EOF"}},
		"a certificate's name":       {"GET https://other.example/\ntls.verified == true", []string{"got false"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := Parse("x", []byte("-- script --\n"+tt.script+"\n"))
			if err != nil {
				t.Fatal(err)
			}
			c := &client{site: site, vars: variables(site)}
			err = c.take(s, s.Steps[0])
			if err == nil {
				t.Fatal("it holds")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("report without %q:\n%v", want, err)
				}
			}
		})
	}
}

package proxy

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
)

func TestAnswersWithoutABackend(t *testing.T) {
	empty := upstream.Key{Namespace: "shop", Service: "empty", Port: "80"}
	f := newFront(t, Config{Hosts: ByHost([]*Rule{
		rule("a.example", "/app", webKey),
		rule("a.example", "/empty", empty),
		{Host: "a.example", Path: "/closed", PathType: router.Prefix, Answer: Answer{503, "policy-refused"}},
		{Host: "bare.example", PathType: router.HostOnly},
	})}, nil)
	f.lead(t, webKey, &proxytest.Backend{Handler: proxytest.Echo("web-1")})
	f.pools.Pool(empty).Set(upstream.Resolution{Reason: "service-not-found"})

	long := strings.Repeat("x", maxTarget)
	tests := []struct {
		name, head string
		status     int
		reason     string
	}{
		{"a route", "GET /app HTTP/1.1\r\nHost: a.example\r\n", 200, ""},
		{"unknown host", "GET / HTTP/1.1\r\nHost: b.example\r\n", 404, "no-host-rule"},
		{"unknown path", "GET / HTTP/1.1\r\nHost: a.example\r\n", 404, "no-path-rule"},
		{"host without paths", "GET / HTTP/1.1\r\nHost: bare.example\r\n", 404, "no-path-rule"},
		{"HEAD has no body", "HEAD / HTTP/1.1\r\nHost: b.example\r\n", 404, "no-host-rule"},
		{"fails closed", "GET /closed/x HTTP/1.1\r\nHost: a.example\r\n", 503, "policy-refused"},
		{"no endpoints", "GET /empty HTTP/1.1\r\nHost: a.example\r\n", 503, "service-not-found"},
		{"bad host", "GET /app HTTP/1.1\r\nHost: a.example:port\r\n", 400, "bad-host"},
		{"NUL in the path", "GET /app%00 HTTP/1.1\r\nHost: a.example\r\n", 400, "bad-path"},
		{"encoded slash beside dot segments", "GET /x%2F../app HTTP/1.1\r\nHost: a.example\r\n", 400, "bad-path"},
		{"encoded slash out of a route", "GET /app%2Fx HTTP/1.1\r\nHost: a.example\r\n", 400, "ambiguous-path"},
		{"encoded slash inside a route", "GET /app/x%2Fy HTTP/1.1\r\nHost: a.example\r\n", 200, ""},
		{"CONNECT", "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n", 405, "method-refused"},
		{"TRACE", "TRACE /app HTTP/1.1\r\nHost: a.example\r\n", 405, "method-refused"},
		{"long target", "GET /" + long + " HTTP/1.1\r\nHost: a.example\r\n", 414, "target-too-long"},
		{"many fields", "GET /app HTTP/1.1\r\nHost: a.example\r\n" + strings.Repeat("X: 1\r\n", maxFields+1), 431, "too-many-fields"},
		{"nominations", "GET /app HTTP/1.1\r\nHost: a.example\r\nConnection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q\r\n", 400, "bad-connection-header"},
		{"host of HTTP/1.0", "GET /app HTTP/1.0\r\nHost: a.example\r\n", 200, ""},
		{"no host at all", "GET /app HTTP/1.0\r\n", 404, "no-host-rule"},
		{"absolute form", "GET http://a.example/app HTTP/1.1\r\nHost: a.example\r\n", 200, ""},
		{"absolute form of another scheme", "GET ftp://a.example/app HTTP/1.1\r\nHost: a.example\r\n", 400, "bad-target"},
		{"asterisk of a GET", "GET * HTTP/1.1\r\nHost: a.example\r\n", 400, "bad-target"},
		{"path parameters that hide a route", "GET /closed;v=1/x HTTP/1.1\r\nHost: a.example\r\n", 400, "ambiguous-path"},
		{"path parameters that hide a slash", "GET /x/;/closed HTTP/1.1\r\nHost: a.example\r\n", 404, "no-path-rule"},
		{"path parameters within a route", "GET /app/x;v=1/y HTTP/1.1\r\nHost: a.example\r\n", 200, ""},
		{"a circle", "GET /app HTTP/1.1\r\nHost: a.example\r\nX-Fairlead-Hops: 3\r\n", 508, "loop"},
		{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: a.example\r\n", 404, "no-path-rule"},
		{"dot segments into a route", "GET /closed/../app HTTP/1.1\r\nHost: a.example\r\n", 200, ""},
		{"dot segments out of a route", "GET /app/../closed HTTP/1.1\r\nHost: a.example\r\n", 503, "policy-refused"},
		{"encoded dot segments", "GET /app/%2e%2E/closed HTTP/1.1\r\nHost: a.example\r\n", 503, "policy-refused"},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := dialRaw(t, f.http())
			c.send(t, tt.head+"\r\n")
			method, _, _ := strings.Cut(tt.head, " ")
			resp, body, err := c.receive(t, method)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tt.status || resp.Header.Get(ReasonHeader) != tt.reason {
				t.Errorf("got %d %q, want %d %q", resp.StatusCode, resp.Header.Get(ReasonHeader), tt.status, tt.reason)
			}
			if tt.reason != "" && method != "HEAD" && !strings.Contains(body, tt.reason) {
				t.Errorf("body %q does not name the reason", body)
			}
			if resp.Header.Get("Server") != "" {
				t.Errorf("Server: %s tells what we are", resp.Header.Get("Server"))
			}
			x := f.exchange(t, i)
			if x.Status != tt.status || x.Reason != tt.reason {
				t.Errorf("recorded %d %q, want %d %q", x.Status, x.Reason, tt.status, tt.reason)
			}
		})
	}
}

func TestBeforeTheFirstTable(t *testing.T) {
	f := newFront(t, Config{}, nil)
	f.table.Store(New(f.pools).Table())
	resp, _ := do(t, client(t, nil), request(t, "GET", "http://"+f.http(), nil))
	if resp.StatusCode != 503 || resp.Header.Get(ReasonHeader) != "starting" || resp.Header.Get("Retry-After") == "" {
		t.Errorf("got %d %v, want 503 starting with Retry-After", resp.StatusCode, resp.Header)
	}
}

func TestDefaultBackend(t *testing.T) {
	key := upstream.Key{Namespace: "infra", Service: "default", Port: "80"}
	f := newFront(t, Config{Hosts: ByHost([]*Rule{rule("a.example", "/app", webKey)}), DefaultBackend: key}, nil)
	f.lead(t, key, &proxytest.Backend{Handler: proxytest.Echo("default-1")})
	for _, host := range []string{"a.example", "b.example"} {
		r := request(t, "GET", "http://"+f.http()+"/none", nil)
		r.Host = host
		resp, body := do(t, client(t, nil), r)
		if resp.StatusCode != 200 || echoed(t, body).Name != "default-1" {
			t.Errorf("%s: got %d %q, want the default backend", host, resp.StatusCode, body)
		}
	}
}

// The default backend got the requests of clients that the ConfigMap blocks, and fields that it drops.
func TestDefaultBackendIsBehindTheConfigMap(t *testing.T) {
	key := upstream.Key{Namespace: "infra", Service: "default", Port: "80"}
	f := newFront(t, Config{}, nil)
	f.lead(t, key, &proxytest.Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "default "+strings.Join(r.Header["X_user"], "|")+strings.Join(r.Header["X.y"], "|"))
	})})
	for _, tt := range []struct {
		key, value string
		profile    policy.Profile
		status     int
		body       string
	}{
		{"", "", policy.Spec, 200, "default rooty"},
		{"", "", policy.Nginx, 200, "default "},
		{"ignore-invalid-headers", "true", policy.Spec, 200, "default "},
		{"enable-underscores-in-headers", "true", policy.Nginx, 200, "default root"},
		{"ignore-invalid-headers", "false", policy.Nginx, 200, "default rooty"},
		{"block-cidrs", "127.0.0.0/8", policy.Spec, 403, "403 blocked\n"},
		{"block-cidrs", "192.0.2.0/24", policy.Spec, 200, "default rooty"},
		{"block-user-agents", "~bad", policy.Nginx, 403, "403 blocked\n"},
		{"block-referers", "~evil", policy.Spec, 403, "403 blocked\n"},
		{"block-cidrs", "127.0.0.0/99", policy.Spec, 503, "503 policy-refused\n"},
		{"block-cidr", "127.0.0.0/8", policy.Spec, 503, "503 policy-refused\n"},
		{"global-auth-url", "http://auth.example/", policy.Spec, 200, "default rooty"},
	} {
		config := map[string]string{}
		if tt.key != "" {
			config[tt.key] = tt.value
		}
		global, _ := policy.ParseConfig(config, nil)
		c := Config{
			Hosts:           ByHost([]*Rule{rule("a.example", "/app", webKey)}),
			DefaultPolicies: policy.ParseDefault(policy.Input{Config: config, Profile: tt.profile, Refused: global.Refused}),
		}
		for _, host := range []string{"a.example", "b.example"} {
			status, body := 404, map[string]string{"a.example": "404 no-path-rule\n", "b.example": "404 no-host-rule\n"}[host]
			for _, to := range []upstream.Key{{}, key} {
				if c.DefaultBackend = to; to == key {
					status, body = tt.status, tt.body
				}
				f.serve(t, c)
				raw := dialRaw(t, f.http())
				raw.send(t, "GET /none HTTP/1.1", "Host: "+host, "User-Agent: bad", "Referer: http://evil/", "X_User: root", "X.Y: y", "", "")
				resp, got, err := raw.receive(t, "GET")
				if err != nil || resp.StatusCode != status || !strings.HasPrefix(got, body) || status == 200 && got != body {
					t.Errorf("%s: %q, %v, %s, backend %q: %q %v, want %d %q", tt.key, tt.value, tt.profile, host, to, got, err, status, body)
				}
			}
		}
	}
}

// HTTP/2 has :authority, and a client may send Host beside it: two names for one request are
// how requests are smuggled past rules.
func TestHostBesideAuthority(t *testing.T) {
	f := echoFront(t, nil)
	for host, status := range map[string]int{"": 200, "a.example": 200, "A.example.": 200, "b.example": 400} {
		p := http.Header{}
		if host != "" {
			p.Set("Host", host)
		}
		r := &http.Request{Method: "GET", Host: "a.example", Proto: "HTTP/2.0", ProtoMajor: 2, RequestURI: "/", Header: p, RemoteAddr: "192.0.2.1:1"}
		x := &Exchange{}
		if got := f.Table().trust.admit(x, r); (got.Status == 400) != (status == 400) {
			t.Errorf("Host %q beside :authority a.example: %v, want %d", host, got, status)
		}
		if status == 200 && r.Header["Host"] != nil {
			t.Errorf("Host %q is still a field", host)
		}
	}
}

// panicking stands for a bug in a handler.
type panicking struct{ after bool }

func (h panicking) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if h.after {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "begun")
		_ = http.NewResponseController(w).Flush()
	}
	panic("a bug")
}

func TestPanicCostsOneRequest(t *testing.T) {
	var seen []any
	f := echoFront(t, func(f *front) {
		f.OnPanic = func(_ *Exchange, v any, stack []byte) {
			if !strings.Contains(string(stack), "panicking") {
				t.Errorf("the stack does not show where:\n%s", stack)
			}
			seen = append(seen, v)
		}
	})
	broken := rule("a.example", "/broken", webKey)
	late := rule("a.example", "/late", webKey)
	table, _ := f.Compile(Config{Hosts: ByHost([]*Rule{rule("a.example", "/", webKey), broken, late})})
	table.hosts[0].routes[1].handler = panicking{}
	table.hosts[0].routes[2].handler = panicking{after: true}
	f.Swap(table)
	c := client(t, nil)

	resp, _ := do(t, c, request(t, "GET", "http://"+f.http()+"/broken", nil))
	if resp.StatusCode != 500 {
		t.Errorf("a panic before the head: got %d, want 500", resp.StatusCode)
	}
	resp, err := c.Do(request(t, "GET", "http://"+f.http()+"/late", nil))
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.ReadAll(resp.Body)
	resp.Body.Close()
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a panic within the body: got error %v, want that it breaks off", err)
	}
	if x := f.exchange(t, 1); x.Reason != "panic" {
		t.Errorf("recorded reason %q, want panic", x.Reason)
	}
	if resp, _ := do(t, c, request(t, "GET", "http://"+f.http()+"/", nil)); resp.StatusCode != 200 {
		t.Errorf("the next request: got %d, want 200", resp.StatusCode)
	}
	if len(seen) != 2 {
		t.Errorf("OnPanic was called %d times, want 2", len(seen))
	}
}

package proxy

import (
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

var (
	pagesKey = upstream.Key{Namespace: "shop", Service: "pages"}
	lastKey  = upstream.Key{Namespace: "ops", Service: "default"}
)

// pageAsked is what a backend of error pages was asked.
type pageAsked struct {
	Method, URI, Host string
	Header            http.Header
	Body              string
}

// pages answers with a status and what it was asked.
func pages(name string, status int) *proxytest.Backend {
	return &proxytest.Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("X-Pages", name)
		w.WriteHeader(status)
		if err := json.NewEncoder(w).Encode(pageAsked{r.Method, r.RequestURI, r.Host, r.Header, string(body)}); err != nil {
			panic(http.ErrAbortHandler)
		}
	})}
}

// failing answers with the status that a request wants.
func failing() *proxytest.Backend {
	return &proxytest.Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Lost", "1")
		w.Header().Set("Www-Authenticate", "Basic")
		switch r.Header.Get("Want") {
		case "401":
			w.WriteHeader(401)
		case "404":
			w.WriteHeader(404)
		case "503":
			w.WriteHeader(503)
		case "endless":
			w.WriteHeader(404)
			for {
				if _, err := w.Write(make([]byte, 1<<10)); err != nil {
					return
				}
			}
		}
		_, _ = io.WriteString(w, "theirs")
	})}
}

func pagesRule(set policy.Set) *Rule {
	r := rule("a.example", "/", webKey)
	r.Policies, r.DefaultBackend = &set, &pagesKey
	return r
}

func TestErrorPage(t *testing.T) {
	set := policy.Set{Errors: policy.Errors{Codes: []int{401, 403, 404, 413, 503}}, BodySize: 10, Auth: nil}
	f := newFront(t, Config{Hosts: ByHost([]*Rule{pagesRule(set)})}, nil)
	f.lead(t, webKey, failing())
	f.lead(t, pagesKey, pages("own", 299))
	c := client(t, nil)
	for _, tt := range []struct{ name, method, want, body, code string }{
		{"a status that is listed", "GET", "404", "", "404"},
		{"the body was for the backend", "POST", "404", "12345", "404"},
		{"an answer of ours", "PUT", "", "12345678901", "413"},
		{"a body without end", "GET", "endless", "", "404"},
		{"a challenge", "GET", "401", "", "401"},
		{"a status that is not listed", "GET", "200", "", ""},
		{"no loop", "GET", "503", "", "503"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := request(t, tt.method, "http://"+f.http()+"/p/q?r=1", strings.NewReader(tt.body))
			r.Header = http.Header{
				"Want": {tt.want}, "Accept": {"application/json"}, "X-Code": {"999"}, "Authorization": {"Basic x"}, "X-Ingress-Name": {"forged"},
				"If-None-Match": {"*"}, "Range": {"bytes=0-1"}, "X-Forwarded-For": {"192.0.2.7"},
			}
			resp, body := do(t, c, r)
			if tt.code == "" {
				if resp.StatusCode != 200 || body != "theirs" {
					t.Fatalf("%s %q, want what the backend has", resp.Status, body)
				}
				return
			}
			var got pageAsked
			if err := json.Unmarshal([]byte(body), &got); err != nil || resp.StatusCode != 299 {
				t.Fatalf("%s %q, want the page and its status", resp.Status, body)
			}
			if got.Method != tt.method || got.URI != "/?r=1" || got.Host != "a.example" || got.Body != "" {
				t.Errorf("asked %+v", got)
			}
			for name, want := range map[string]string{
				"X-Code": tt.code, "X-Format": "application/json", "X-Original-Uri": "/p/q?r=1", "X-Namespace": "shop", "X-Ingress-Name": "ing",
				"X-Service-Name": "web", "X-Service-Port": "80", "Authorization": "", "If-None-Match": "", "Range": "", "X-Forwarded-For": "127.0.0.1",
			} {
				if strings.Join(got.Header[name], "|") != want {
					t.Errorf("%s: %q, want %q", name, got.Header[name], want)
				}
			}
			if len(got.Header["X-Request-Id"]) != 1 {
				t.Errorf("X-Request-ID: %q", got.Header["X-Request-Id"])
			}
			if resp.Header.Get("X-Lost") != "" || (resp.Header.Get("Www-Authenticate") != "") != (tt.code == "401") {
				t.Errorf("of the error's header there is %v", resp.Header)
			}
		})
	}
}

// Pages in place of an answer of ours never lead to the backend, whatever they answer.
func TestErrorPageOfADenial(t *testing.T) {
	set := policy.Set{
		Errors: policy.Errors{Codes: []int{403}},
		Access: &policy.Access{Deny: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
	}
	f := newFront(t, Config{Hosts: ByHost([]*Rule{pagesRule(set)})}, nil)
	f.lead(t, webKey, &proxytest.Backend{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the backend was reached") })})
	f.lead(t, pagesKey, pages("own", 200))
	resp, _ := do(t, client(t, nil), request(t, "GET", "http://"+f.http()+"/", nil))
	if resp.StatusCode != 200 || resp.Header.Get("X-Pages") != "own" || resp.Header.Get(ReasonHeader) != "address-denied" {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
	if x := f.exchange(t, 0); x.Reason != "address-denied" || x.Status != 200 || x.Backend != (upstream.Key{}) {
		t.Errorf("recorded %+v", x)
	}
}

// What is recorded of a request is what became of it at its own backend.
func TestErrorPageIsNotRecorded(t *testing.T) {
	f := newFront(t, Config{Hosts: ByHost([]*Rule{pagesRule(policy.Set{Errors: policy.Errors{Codes: []int{404}}})})}, nil)
	f.lead(t, webKey, failing())
	f.lead(t, pagesKey, pages("own", 404))
	r := request(t, "GET", "http://"+f.http()+"/", nil)
	r.Header.Set("Want", "404")
	do(t, client(t, nil), r)
	x := f.exchange(t, 0)
	if all := x.Attempts.All(); x.Backend != webKey || len(all) != 1 || all[0].Status != 404 || all[0].Endpoint.Key() != webKey {
		t.Errorf("recorded %+v", x)
	}
}

// Where the pages come from, and what is sent when there are none.
func TestErrorPageFails(t *testing.T) {
	gone := upstream.Resolution{Addresses: []upstream.Address{{Host: "127.0.0.1", Port: 1}}}
	for _, tt := range []struct {
		name         string
		own, other   upstream.Resolution
		lead         bool // other has a backend that works
		passOn       bool
		status       int
		body, header string
	}{
		{"nobody has them", upstream.Resolution{}, upstream.Resolution{}, false, false, 404, "theirs", ""},
		{"the operator has them", upstream.Resolution{}, upstream.Resolution{}, true, false, 404, "", "other"},
		{"errors are passed on", upstream.Resolution{}, upstream.Resolution{}, true, true, 404, "theirs", ""},
		{"they refuse", gone, upstream.Resolution{}, true, false, 404, "404 error-page-failed\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rule := pagesRule(policy.Set{Errors: policy.Errors{Codes: []int{404, 502}, PassOn: tt.passOn}})
			rule.ErrorBackend = &lastKey
			f := newFront(t, Config{Hosts: ByHost([]*Rule{rule})}, nil)
			f.lead(t, webKey, failing())
			f.pools.Pool(pagesKey).Set(tt.own)
			if tt.lead {
				f.lead(t, lastKey, pages("other", 404))
			}
			r := request(t, "GET", "http://"+f.http()+"/", nil)
			r.Header.Set("Want", "404")
			resp, body := do(t, client(t, nil), r)
			if resp.StatusCode != tt.status || !strings.HasPrefix(body, tt.body) || resp.Header.Get("X-Pages") != tt.header {
				t.Errorf("%s %q %v", resp.Status, body, resp.Header)
			}
		})
	}
}

// While a backend has no endpoints its default backend gets the requests as they are.
func TestStandIn(t *testing.T) {
	f := newFront(t, Config{Hosts: ByHost([]*Rule{pagesRule(policy.Set{Errors: policy.Errors{Codes: []int{503}}})})}, nil)
	f.lead(t, pagesKey, pages("own", 503))
	c := client(t, nil)
	resp, body := do(t, c, request(t, "POST", "http://"+f.http()+"/p?q", strings.NewReader("12345")))
	var got pageAsked
	if err := json.Unmarshal([]byte(body), &got); err != nil || resp.StatusCode != 503 {
		t.Fatalf("%s %q", resp.Status, body)
	}
	if got.Method != "POST" || got.URI != "/p?q" || got.Body != "12345" || got.Header.Get("X-Code") != "503" || got.Header.Get("X-Service-Name") != "web" || got.Header["X-Original-Uri"] != nil {
		t.Errorf("asked %+v", got)
	}
	if x := f.exchange(t, 0); x.Backend != pagesKey {
		t.Errorf("recorded %+v", x)
	}
	f.lead(t, webKey, failing())
	if _, body := do(t, c, request(t, "GET", "http://"+f.http()+"/", nil)); body != "theirs" {
		t.Errorf("with endpoints: %q", body)
	}
}

// A WebSocket that is refused becomes no tunnel to the pages.
func TestErrorPageOfAnUpgrade(t *testing.T) {
	f := newFront(t, Config{Hosts: ByHost([]*Rule{pagesRule(policy.Set{Errors: policy.Errors{Codes: []int{404}}})})}, nil)
	f.lead(t, webKey, failing())
	f.lead(t, pagesKey, pages("own", 404))
	c := dialRaw(t, f.http())
	c.send(t, "GET /chat HTTP/1.1", "Host: a.example", "Want: 404", "Connection: Upgrade", "Upgrade: websocket", "", "")
	resp, body, err := c.receive(t, "GET")
	if err != nil || resp.StatusCode != 404 || strings.Contains(body, "websocket") {
		t.Errorf("%v %v %q", err, resp, body)
	}
}

// Cookies of a tenant's host went to the operator's Service, and X_Code beside X-Code told a backend
// that folds names what the client wanted it to believe.
func TestErrorPageIsToldNoSecretsAndNoLies(t *testing.T) {
	r := pagesRule(policy.Set{Errors: policy.Errors{Codes: []int{404}}})
	r.ErrorBackend = &lastKey
	f := newFront(t, Config{Hosts: ByHost([]*Rule{r})}, nil)
	f.lead(t, webKey, failing())
	f.lead(t, lastKey, pages("other", 299))
	ask := func(from string, cookie bool) {
		t.Helper()
		c := dialRaw(t, f.http())
		c.send(t, "GET /p HTTP/1.1", "Host: a.example", "Want: 404", "Cookie: sid=secret",
			"X_Code: 200", "x.format: text/evil", "X_Original_URI: /forged", "X_SERVICE_NAME: forged", "X_Other: kept", "", "")
		resp, body, err := c.receive(t, "GET")
		var got pageAsked
		if err == nil {
			err = json.Unmarshal([]byte(body), &got)
		}
		if err != nil || resp.Header.Get("X-Pages") != from {
			t.Fatalf("%v, %v %q, want the pages of %s", err, resp, body, from)
		}
		for name := range got.Header {
			switch strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(name)) {
			case "x-code", "x-format", "x-original-uri", "x-service-name":
				if strings.ContainsAny(name, "_.") {
					t.Errorf("%s is told %s: %q", from, name, got.Header[name])
				}
			}
		}
		if got.Header.Get("X-Code") == "" || len(got.Header["X_other"]) == 0 || (got.Header.Get("Cookie") != "") != cookie {
			t.Errorf("%s is told %v, want the cookie: %t", from, got.Header, cookie)
		}
	}
	ask("other", false)
	f.lead(t, pagesKey, pages("own", 299))
	ask("own", true)

	f.pools.Pool(webKey).Set(upstream.Resolution{}) // now it stands in
	c := dialRaw(t, f.http())
	c.send(t, "GET /p HTTP/1.1", "Host: a.example", "X_Code: 200", "", "")
	_, body, err := c.receive(t, "GET")
	if err != nil || strings.Contains(body, "X_code") || !strings.Contains(body, `"X-Code":["503"]`) {
		t.Errorf("who stands in is told %q, %v", body, err)
	}
}

// What no rule matches gets the pages that the ConfigMap asks for, from the default backend that it
// was sent to, as behind ingress-nginx: asked as it was, that does not know what to say to whom.
func TestErrorPageOfWhatNoRuleMatches(t *testing.T) {
	backend := &proxytest.Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Code") != "" {
			pages("default", 404).Handler.ServeHTTP(w, r)
			return
		}
		failing().Handler.ServeHTTP(w, r)
	})}
	f := newFront(t, Config{}, nil)
	f.lead(t, lastKey, backend)
	for _, tt := range []struct {
		name, key, value, want string
		status                 int
		code                   string // what the page was asked for; "" for no page
	}{
		{"an error of the backend", "", "", "404", 404, "404"},
		{"a status that is not listed", "", "", "503", 503, ""},
		{"no error", "", "", "", 200, ""},
		{"a body without end", "", "", "endless", 404, "404"},
		{"errors are passed on", "disable-proxy-intercept-errors", "true", "404", 404, ""},
		{"an answer of ours", "block-user-agents", "~bad", "", 404, "403"},
		{"a list that cannot be read", "custom-http-errors", "no list", "404", 404, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config := map[string]string{"custom-http-errors": "403,404"}
			if tt.key != "" {
				config[tt.key] = tt.value
			}
			f.serve(t, Config{
				Hosts: ByHost([]*Rule{rule("a.example", "/app", webKey)}), DefaultBackend: lastKey,
				DefaultPolicies: policy.ParseDefault(policy.Input{Config: config}),
			})
			for _, host := range []string{"a.example", "nobody.example"} {
				r := request(t, "POST", "http://"+f.http()+"/none?q=1", strings.NewReader("12345"))
				r.Host = host
				r.Header = http.Header{"Want": {tt.want}, "Accept": {"application/json"}, "User-Agent": {"bad"}, "Cookie": {"sid=secret"}, "X_Code": {"200"}}
				resp, body := do(t, client(t, nil), r)
				if tt.code == "" {
					if resp.StatusCode != tt.status || body != "theirs" {
						t.Errorf("%s: %s %q, want what the default backend has", host, resp.Status, body)
					}
					continue
				}
				var got pageAsked
				if err := json.Unmarshal([]byte(body), &got); err != nil || resp.StatusCode != tt.status || resp.Header.Get("X-Lost") != "" {
					t.Errorf("%s: %s %q, want the page and its status", host, resp.Status, body)
					continue
				}
				if got.URI != "/?q=1" || got.Host != host || got.Body != "" {
					t.Errorf("%s: asked %+v", host, got)
				}
				for name, want := range map[string]string{
					"X-Code": tt.code, "X-Format": "application/json", "X-Original-Uri": "/none?q=1",
					"X-Namespace": "", "X-Ingress-Name": "", "X-Service-Name": "", "Cookie": "",
				} {
					if strings.Join(got.Header[name], "|") != want {
						t.Errorf("%s: %s: %q, want %q", host, name, got.Header[name], want)
					}
				}
			}
		})
	}
}

// What closes every rule closes the default backend, and nothing is asked of that.
func TestNoErrorPageOfAClosedDefaultBackend(t *testing.T) {
	f := newFront(t, Config{}, nil)
	f.lead(t, lastKey, &proxytest.Backend{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the default backend was reached") })})
	config := map[string]string{"custom-http-errors": "503", "block-cidrs": "192.0.2.0/99"}
	global, _ := policy.ParseConfig(config, nil)
	f.serve(t, Config{DefaultBackend: lastKey, DefaultPolicies: policy.ParseDefault(policy.Input{Config: config, Refused: global.Refused})})
	resp, body := do(t, client(t, nil), request(t, "GET", "http://"+f.http()+"/", nil))
	if resp.StatusCode != 503 || !strings.HasPrefix(body, "503 policy-refused\n") {
		t.Errorf("%s %q", resp.Status, body)
	}
}

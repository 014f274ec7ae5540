package policy

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// writer is an Exchange for tests.
type writer struct {
	*httptest.ResponseRecorder
	client, scheme, path, host string
	reason                     string
	fields                     []string // that SendField was called with
}

func (w *writer) Client() netip.Addr           { a, _ := netip.ParseAddr(w.client); return a }
func (w *writer) Scheme() string               { return w.scheme }
func (w *writer) Connection() string           { return w.scheme }
func (w *writer) CanonicalHost() string        { return "a.example" }
func (w *writer) CanonicalPath() string        { return w.path }
func (w *writer) ID() string                   { return "id" }
func (w *writer) SendHost(host string)         { w.host = host }
func (w *writer) SendField(name, value string) { w.fields = append(w.fields, name+": "+value) }
func (w *writer) SendPrefix(string)            {}
func (w *writer) SentFields() (sent [][2]string) {
	for _, field := range w.fields {
		name, value, _ := strings.Cut(field, ": ")
		sent = append(sent, [2]string{name, value})
	}
	return sent
}
func (w *writer) Rehearsal() bool { return false }
func (w *writer) Answer(rw http.ResponseWriter, _ *http.Request, status int, reason string, _ error) {
	w.reason = reason
	rw.WriteHeader(status)
}

// try sends a request through the handlers of annotations. The backend answers 200.
func try(t *testing.T, profile Profile, annotations map[string]string, rule Rule, r *http.Request, w *writer) *writer {
	t.Helper()
	in := Input{Profile: profile, Namespace: "shop", Annotations: map[string]string{}, Secret: func(_, name string) map[string][]byte {
		if name != "users" {
			return nil
		}
		return map[string][]byte{"auth": []byte("dave:{SHA}hWK/nKq6ApDFwwVB9GNyLi7WBzM=\n")}
	}}
	for k, v := range annotations {
		in.Annotations[Prefix+k] = v
	}
	s, findings := Parse(in)
	if len(s.Refused) > 0 || s.Unroutable {
		t.Fatalf("findings: %v", findings)
	}
	w.ResponseRecorder = httptest.NewRecorder()
	if w.client == "" {
		w.client = "192.0.2.1"
	}
	if w.scheme == "" {
		w.scheme = "https"
	}
	w.path = r.URL.EscapedPath()
	reached := false
	Wrap(&s, rule, &Env{Transport: denying{}}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { reached = true; w.WriteHeader(200) })).ServeHTTP(w, r)
	if !reached && w.Code == 200 {
		t.Errorf("%v: 200, and the backend was not reached", annotations)
	}
	return w
}

// denying is an auth service that denies everything.
type denying struct{}

func (denying) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusForbidden, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
}

// Which of two features speaks first, where a user sees it.
func TestOrder(t *testing.T) {
	var (
		deny     = [2]string{"denylist-source-range", "192.0.2.0/24"}
		password = [2]string{"auth-type", "basic"}
		users    = [2]string{"auth-secret", "users"}
		service  = [2]string{"auth-url", "http://auth.example/"}
		moved    = [2]string{"permanent-redirect", "https://moved.example/"}
		cross    = [2]string{"enable-cors", "true"}
		force    = [2]string{"force-ssl-redirect", "true"}
		root     = [2]string{"app-root", "/ui"}
		size     = [2]string{"proxy-body-size", "1"}
	)
	for _, c := range []struct {
		name        string
		annotations [][2]string
		method      string
		scheme      string
		body        string
		want        string // the reason of the answer; empty: none of ours
		status      int
	}{
		{"addresses before passwords", [][2]string{deny, password, users}, "GET", "https", "", "address-denied", 403},
		{"addresses before the service", [][2]string{deny, service}, "GET", "https", "", "address-denied", 403},
		{"passwords before the service", [][2]string{password, users, service}, "GET", "https", "", "password-wanted", 401},
		{"the service", [][2]string{service}, "GET", "https", "", "auth-denied", 403},
		{"a preflight before addresses", [][2]string{cross, deny}, "OPTIONS", "https", "", "", 204},
		{"a preflight before passwords", [][2]string{cross, password, users}, "OPTIONS", "https", "", "", 204},
		{"a preflight before redirects", [][2]string{cross, moved}, "OPTIONS", "https", "", "", 204},
		{"redirects before addresses", [][2]string{moved, deny}, "GET", "https", "", "redirect", 301},
		{"HTTPS before passwords", [][2]string{force, password, users}, "GET", "http", "", "https-wanted", 308},
		{"moved before HTTPS", [][2]string{force, moved}, "GET", "http", "", "redirect", 301},
		{"app-root before all", [][2]string{root, moved, deny, force}, "GET", "http", "", "app-root", 302},
		{"the size of a body before passwords", [][2]string{size, password, users}, "POST", "https", "xx", "body-too-large", 413},
	} {
		t.Run(c.name, func(t *testing.T) {
			annotations := map[string]string{}
			for _, a := range c.annotations {
				annotations[a[0]] = a[1]
			}
			r := httptest.NewRequest(c.method, "/", strings.NewReader(c.body))
			r.Header.Set("Origin", "https://app.example")
			r.Header.Set("Access-Control-Request-Method", "GET")
			w := try(t, Spec, annotations, Rule{Path: "/"}, r, &writer{scheme: c.scheme})
			if w.reason != c.want || w.Code != c.status {
				t.Errorf("%d %q, want %d %q", w.Code, w.reason, c.status, c.want)
			}
		})
	}
}

// No key is declared twice, each says what it does, and a bad value of a guard refuses.
func TestRegistry(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Keys() {
		for _, name := range append([]string{k.Name}, k.Aliases...) {
			if seen[name] {
				t.Errorf("%s is declared twice", name)
			}
			seen[name] = true
		}
		if k.Doc == "" || k.Feature != "" && k.Value == "" {
			t.Errorf("%s has no documentation", k.Name)
		}
		if strings.HasPrefix(k.Name, "auth-") && k.Class != Guard && !strings.HasPrefix(k.Name, "auth-keepalive") {
			t.Errorf("%s is no guard", k.Name)
		}
	}
	beside := map[string]string{"auth-url": "http://auth.example/", "auth-type": "basic", "auth-secret": "users"}
	for _, k := range Keys() {
		if k.Class != Guard || k.Feature == "" {
			continue
		}
		for _, value := range []string{"\x00 bad;value$nothing", "%zz $x"} {
			in := Input{Annotations: map[string]string{}, Namespace: "shop", Secret: func(string, string) map[string][]byte { return nil }}
			for name, v := range beside {
				in.Annotations[Prefix+name] = v
			}
			for _, name := range append([]string{k.Name}, k.Aliases...) {
				in.Annotations[Prefix+name] = value
			}
			if s, _ := Parse(in); len(s.Refused) == 0 {
				t.Errorf("%s: %q is accepted", k.Name, value)
			}
		}
	}
}

// What nobody asked for costs no frame.
func TestNothingSet(t *testing.T) {
	s, findings := Parse(Input{})
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	next := http.NewServeMux()
	if h := Wrap(&s, Rule{}, &Env{}, next); h != http.Handler(next) {
		t.Errorf("a Set with nothing in it makes %T", h)
	}
	if h := Wrap(nil, Rule{}, &Env{}, next); h != http.Handler(next) {
		t.Errorf("no Set makes %T", h)
	}
}

func TestPasswords(t *testing.T) {
	users := map[string]string{"auth-type": "basic", "auth-secret": "users"}
	for _, c := range []struct {
		user, password string
		want           int
	}{{"dave", "sha1pw", 200}, {"dave", "x", 401}, {"nobody", "sha1pw", 401}, {"", "", 401}} {
		r := httptest.NewRequest("GET", "/", nil)
		r.SetBasicAuth(c.user, c.password)
		if w := try(t, Nginx, users, Rule{Path: "/"}, r, &writer{}); w.Code != c.want {
			t.Errorf("%s:%s is %d, want %d", c.user, c.password, w.Code, c.want)
		} else if c.want == 200 && r.Header.Get("Authorization") != "" {
			t.Error("the backend gets the password")
		}
	}
	// Two fields are one too many: which of them the backend believes nobody knows.
	r := httptest.NewRequest("GET", "/", nil)
	r.SetBasicAuth("dave", "sha1pw")
	r.Header.Add("Authorization", "Basic x")
	if w := try(t, Nginx, users, Rule{Path: "/"}, r, &writer{}); w.Code != 401 {
		t.Errorf("two passwords are %d", w.Code)
	}
}

func TestOrigins(t *testing.T) {
	c := &CORS{Origins: []string{"https://a.example", "https://*.b.example"}}
	for origin, want := range map[string]bool{
		"https://a.example": true, "https://A.example": true, "http://a.example": false, "https://a.example.evil": false,
		"https://x.b.example": true, "https://x.y.b.example": false, "https://b.example": false, "https://.b.example": false,
		"https://evil.example/https://x.b.example": false, "xhttps://x.b.example": false, "https://evil@x.b.example": false, "null": false,
	} {
		if _, got := c.allows([]string{origin}); got != want {
			t.Errorf("%s: %v", origin, got)
		}
	}
}

// Where the profiles have other defaults.
func TestProfiles(t *testing.T) {
	spec, _ := Parse(Input{})
	nginx, _ := Parse(Input{Profile: Nginx})
	if spec.BodySize != 0 || nginx.BodySize != 1<<20 || spec.HSTS != "" || nginx.HSTS == "" || spec.SSLRedirect != nil || nginx.SSLRedirect == nil || spec.Slash == nginx.Slash {
		t.Errorf("spec %+v, ingress-nginx %+v", spec, nginx)
	}
	limited := map[string]string{Prefix + "limit-rps": "1"}
	spec, _ = Parse(Input{Annotations: limited})
	nginx, _ = Parse(Input{Annotations: limited, Profile: Nginx})
	if spec.Limit.RateStatus != 429 || nginx.Limit.RateStatus != 503 {
		t.Errorf("a rate limit answers %d and %d, want 429 and 503", spec.Limit.RateStatus, nginx.Limit.RateStatus)
	}
	if got := slices.Contains(nginx.SSLRedirect.ExemptRoutes, "/.well-known/acme-challenge"); !got {
		t.Error("challenges are redirected")
	}
}

// A feature is named when it has a handler, and only then.
func TestNames(t *testing.T) {
	all := Set{
		ClientCert: &ClientCert{}, Access: &Access{}, BasicAuth: &BasicAuth{}, Auth: &ExternalAuth{}, Redirect: &Redirect{}, SSLRedirect: &SSLRedirect{}, HSTS: "x",
		AppRoot: "/x", WWW: &WWW{Host: "www.a.example"}, Slash: SlashAlways, Rewrite: &Rewrite{}, CORS: &CORS{}, Limit: &Limit{}, BodySize: 1, Blocking: &Blocking{}, Affinity: &Affinity{}, Fields: &Fields{}, Gzip: &Compression{}, Forward: Forward{Host: Template{Parts: make([]Part, 1)}},
		Pace: Pace{Rate: 1}, Mirror: &Mirror{}, Unvouched: []string{"X-User"}, Response: Response{Location: &Replacement{}},
	}
	names := Names(&all, Rule{Path: "/"})
	for i, f := range chain {
		if f.name != satisfy.name && f.name != quirkUse.name && f.wrap != nil && !slices.Contains(names, f.name) {
			t.Errorf("feature %d, %s, is not named in %q", i, f.name, names)
		}
	}
	all.SatisfyAny = true
	if names := Names(&all, Rule{Path: "/"}); !slices.Contains(names, satisfy.name) || slices.Contains(names, basicAuth.name) {
		t.Errorf("with one guard that is enough: %q", names)
	}
	if names := Names(&Set{}, Rule{Path: "/"}); len(names) != 0 {
		t.Errorf("an empty Set has %q", names)
	}
	if names := Names(nil, Rule{}); len(names) != 0 {
		t.Errorf("no Set has %q", names)
	}
}

func (w *writer) SetCookie(string) {}
func (w *writer) Bind(uint64)      {}

package policy

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseValid(t *testing.T) {
	for text, want := range map[string][]AuthValid{
		"200 202 401 5m":  {{200, 5 * time.Minute}, {202, 5 * time.Minute}, {401, 5 * time.Minute}},
		" 200  1h30m ":    {{200, 90 * time.Minute}},
		"any 10":          {{0, 10 * time.Second}},
		"30s":             {{200, 30 * time.Second}},
		"401 500ms":       {{401, 500 * time.Millisecond}},
		"200 0":           {{200, 0}},
		"200 90d":         {{200, 90 * 24 * time.Hour}},
		"200 1000y":       {{200, maxValid}},
		"200 99999999999": nil,
		"":                nil,
		"200 401":         nil, // no time
		"200 x":           nil,
		"2000 5m":         nil,
		"20 5m":           nil,
		"200 5q":          nil,
		"200 m5":          nil,
		"200 5ms5":        {{200, 5*time.Millisecond + 5*time.Second}},
		"200 -5m":         nil,
	} {
		got, err := parseValid(text)
		if !reflect.DeepEqual(got, want) || (err != nil) != (want == nil) {
			t.Errorf("%q: %v %v, want %v", text, got, err, want)
		}
	}
}

// What an answer says of itself may shorten how long it holds, and never makes it longer.
func TestAuthCacheHolds(t *testing.T) {
	c := AuthCache{Valid: []AuthValid{{200, time.Hour}, {401, time.Minute}, {0, time.Second}}}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		status int
		header http.Header
		want   time.Duration
		vary   []string
	}{
		{200, nil, time.Hour, nil},
		{401, nil, time.Minute, nil},
		{403, nil, time.Second, nil},
		{204, nil, time.Second, nil},
		{302, nil, 0, nil},
		{500, nil, 0, nil},
		{200, http.Header{"Set-Cookie": {"a=b"}}, 0, nil},
		{200, http.Header{"Cache-Control": {"private"}}, 0, nil},
		{200, http.Header{"Cache-Control": {"public", "No-Store"}}, 0, nil},
		{200, http.Header{"Cache-Control": {"max-age=60"}}, time.Minute, nil},
		{200, http.Header{"Cache-Control": {"max-age=7200"}}, time.Hour, nil},
		{200, http.Header{"Cache-Control": {"max-age=60, s-maxage=\"5\""}}, 5 * time.Second, nil},
		{200, http.Header{"Cache-Control": {"max-age=x"}}, 0, nil},
		{200, http.Header{"Cache-Control": {"max-age=0"}}, 0, nil},
		{200, http.Header{"Expires": {"Thu, 01 Jan 2026 00:00:10 GMT"}}, 10 * time.Second, nil},
		{200, http.Header{"Expires": {"Thu, 01 Jan 2025 00:00:10 GMT"}}, -365*24*time.Hour + 10*time.Second, nil},
		{200, http.Header{"Expires": {"0"}}, 0, nil},
		{200, http.Header{"Vary": {"*"}}, 0, nil},
		{200, http.Header{"Vary": {"x-tenant, Accept"}}, time.Hour, []string{"X-Tenant", "Accept"}},
	} {
		got, vary := c.holds(&http.Response{StatusCode: tt.status, Header: tt.header}, now)
		if got != tt.want || !reflect.DeepEqual(vary, tt.vary) {
			t.Errorf("%d %v: %v %q, want %v %q", tt.status, tt.header, got, vary, tt.want, tt.vary)
		}
	}
}

// counting is an auth service that counts what it is asked, and admits those with a cookie ok=1 or
// the right Authorization.
type counting struct {
	asked  int
	header http.Header
}

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.asked++
	resp := &http.Response{StatusCode: 401, Body: http.NoBody, Header: c.header.Clone(), Request: r}
	if resp.Header == nil {
		resp.Header = http.Header{}
	}
	if strings.Contains(r.Header.Get("Cookie"), "ok=1") || r.Header.Get("Authorization") == "Bearer good" {
		resp.StatusCode = 200
		resp.Header.Set("X-User", r.Header.Get("Cookie"))
	} else {
		resp.Header.Set("Www-Authenticate", "Bearer")
	}
	return resp, nil
}

func TestAuthCache(t *testing.T) {
	service := &counting{}
	env := &Env{Transport: service}
	routes := map[string]http.Handler{}
	var user string
	make := func(name, host, path string, annotations map[string]string) {
		in := Input{Profile: Nginx, Namespace: "shop", Annotations: map[string]string{}}
		for k, v := range annotations {
			in.Annotations[NginxPrefix+k] = v
		}
		s, findings := Parse(in)
		if len(s.Refused) > 0 {
			t.Fatal(findings)
		}
		s.SSLRedirect = nil
		routes[name] = Wrap(&s, Rule{Host: host, Path: path}, env, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user = r.Header.Get("X-User")
			w.WriteHeader(200)
		}))
	}
	keyed := map[string]string{"auth-url": "http://auth.example/a", "auth-cache-key": "$cookie_sid", "auth-response-headers": "X-User"}
	make("one", "a.example", "/", keyed)
	make("other path", "a.example", "/x", keyed)
	make("other host", "b.example", "/", keyed)
	make("other url", "a.example", "/", map[string]string{"auth-url": "http://auth.example/b", "auth-cache-key": "$cookie_sid", "auth-response-headers": "X-User"})
	make("url of the request", "a.example", "/", map[string]string{"auth-url": "http://auth.example/a?$arg_x", "auth-cache-key": "$cookie_sid"})
	make("never", "a.example", "/", map[string]string{"auth-url": "http://auth.example/c", "auth-cache-key": "$cookie_sid", "auth-cache-duration": "200 0"})
	ask := func(route string, want, asked int, target string, header ...string) {
		t.Helper()
		before := service.asked
		r := httptest.NewRequest("GET", target, nil)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := &writer{ResponseRecorder: httptest.NewRecorder(), client: "192.0.2.1", scheme: "https", path: "/"}
		user = ""
		routes[route].ServeHTTP(w, r)
		if w.Code != want || service.asked-before != asked {
			t.Errorf("%s %v: %d after %d questions, want %d after %d", route, header, w.Code, service.asked-before, want, asked)
		}
		if want == 401 && w.Header().Get("Www-Authenticate") != "Bearer" {
			t.Errorf("%s %v: no challenge", route, header)
		}
	}
	ask("one", 200, 1, "/", "Cookie", "sid=1; ok=1")
	ask("one", 200, 0, "/", "Cookie", "sid=1", "X-User", "mallory")
	if user != "sid=1; ok=1" {
		t.Errorf("the backend is told of %q", user)
	}
	ask("one", 401, 1, "/", "Cookie", "sid=2")
	ask("one", 401, 0, "/p", "Cookie", "sid=2; ok=1") // as listed by the default
	ask("other path", 401, 1, "/", "Cookie", "sid=1")
	ask("other host", 401, 1, "/", "Cookie", "sid=1")
	ask("other url", 401, 1, "/", "Cookie", "sid=1")
	ask("url of the request", 200, 1, "/?x=1", "Cookie", "sid=1; ok=1")
	ask("url of the request", 401, 1, "/?x=2", "Cookie", "sid=1")
	ask("never", 200, 1, "/", "Cookie", "sid=1; ok=1")
	ask("never", 401, 1, "/", "Cookie", "sid=1")

	// Without a value of its key a request is like those of all others.
	ask("one", 200, 1, "/", "Cookie", "ok=1")
	ask("one", 401, 1, "/", "Cookie", "x=1")
	// Credentials that the key has not are told apart all the same.
	ask("one", 200, 1, "/", "Cookie", "sid=3", "Authorization", "Bearer good")
	ask("one", 401, 1, "/", "Cookie", "sid=3", "Authorization", "Bearer bad")
	ask("one", 401, 1, "/", "Cookie", "sid=3")
	ask("one", 200, 0, "/", "Cookie", "sid=3", "Authorization", "Bearer good")

	service.header = http.Header{"Vary": {"X-Tenant"}}
	ask("one", 200, 1, "/", "Cookie", "sid=4; ok=1", "X-Tenant", "a")
	ask("one", 200, 0, "/", "Cookie", "sid=4", "X-Tenant", "a")
	ask("one", 401, 1, "/", "Cookie", "sid=4", "X-Tenant", "b")
	service.header = http.Header{"Set-Cookie": {"s=1"}}
	ask("one", 200, 1, "/", "Cookie", "sid=5; ok=1")
	ask("one", 401, 1, "/", "Cookie", "sid=5")
}

func TestAuthCacheIsBounded(t *testing.T) {
	var c rulings
	now := time.Now()
	for i := range 2000 {
		v := &ruling{status: 200, header: http.Header{"X-User": {strings.Repeat("x", 64<<10)}}, until: now.Add(time.Hour)}
		copy(v.key[:], fmt.Sprintf("%032d", i))
		c.put(v)
	}
	if c.size > maxRulings || c.recent.Len() != len(c.byKey) || c.recent.Len() == 0 || c.recent.Len() > 512 {
		t.Errorf("%d bytes, %d and %d entries", c.size, c.recent.Len(), len(c.byKey))
	}
	var last [32]byte
	copy(last[:], fmt.Sprintf("%032d", 1999))
	if c.get(last, nil, now) == nil {
		t.Error("the latest was forgotten")
	}
	if c.get(last, nil, now.Add(time.Hour)) != nil || c.get(last, nil, now) != nil {
		t.Error("it holds beyond its time")
	}
	v := &ruling{status: 200, header: http.Header{"X-User": {strings.Repeat("x", 1<<20)}}, until: now.Add(time.Hour)}
	if c.put(v); c.get(v.key, nil, now) != nil {
		t.Error("one that is too large was kept")
	}
}

func TestReadExternalAuth(t *testing.T) {
	global := map[string]string{
		"global-auth-url": "http://gate.example/", "global-auth-signin": "https://sso.example/", "global-auth-signin-redirect-param": "back",
		"global-auth-method": "POST", "global-auth-response-headers": "X-A,x-b", "global-auth-request-redirect": "/to", "global-auth-always-set-cookie": "true",
		"global-auth-cache-key": "$cookie_a", "global-auth-cache-duration": "200 1m", "no-auth-locations": "/free,/public",
	}
	s, findings := Parse(Input{Config: global})
	if a := s.Auth; len(findings) > 0 || a == nil || a.Method != "POST" || a.SignInParam != "back" || !reflect.DeepEqual(a.Response, []string{"X-A", "X-B"}) ||
		!a.AlwaysSet || a.Cache == nil || a.Cache.Valid[0] != (AuthValid{200, time.Minute}) || len(a.Redirect.Parts) == 0 || len(a.SignIn.Parts) == 0 {
		t.Errorf("%+v, %v", a, findings)
	}
	for path, want := range map[string]bool{"/": true, "/fre": true, "/free": false, "/freedom": false, "/public/x": false, "/x/free": true} {
		if got := slices.Contains(Names(&s, Rule{Path: path}), externalAuth.name); got != want {
			t.Errorf("rule %s: guarded %t, want %t", path, got, want)
		}
	}
	for _, tt := range []struct {
		name        string
		annotations map[string]string
		config      map[string]string
		url         string // "" for nobody is asked
		refused     bool
	}{
		{"own instead of global", map[string]string{"auth-url": "http://own.example/"}, global, "http://own.example/", false},
		{"off", map[string]string{"enable-global-auth": "false"}, global, "", false},
		{"on", map[string]string{"enable-global-auth": "true"}, global, "http://gate.example/", false},
		{"perhaps", map[string]string{"enable-global-auth": "off"}, global, "http://gate.example/", true},
		{"off, and own", map[string]string{"enable-global-auth": "false", "auth-url": "http://own.example/"}, global, "http://own.example/", false},
		{"a bad URL", nil, map[string]string{"global-auth-url": "gate"}, "gate", true},
		{"a bad URL, and off", map[string]string{"enable-global-auth": "false"}, map[string]string{"global-auth-url": "gate"}, "", false},
		{"a bad URL, and own", map[string]string{"auth-url": "http://own.example/"}, map[string]string{"global-auth-url": "gate"}, "http://own.example/", false},
		{"a bad method", nil, map[string]string{"global-auth-url": "http://gate.example/", "global-auth-method": "get it"}, "http://gate.example/", true},
		{"a bad exemption", nil, map[string]string{"global-auth-url": "http://gate.example/", "no-auth-locations": "free"}, "http://gate.example/", true},
		{"a bad exemption of nobody", nil, map[string]string{"no-auth-locations": "free"}, "", false},
		{"a host with variables", nil, map[string]string{"global-auth-url": "http://$arg_x/"}, "", true},
		{"a key for all", map[string]string{"auth-url": "http://own.example/", "auth-cache-key": "all"}, nil, "http://own.example/", true},
		{"a key with an unknown variable", map[string]string{"auth-url": "http://own.example/", "auth-cache-key": "$x"}, nil, "http://own.example/", true},
		{"a bad time", map[string]string{"auth-url": "http://own.example/", "auth-cache-key": "$remote_user", "auth-cache-duration": "200 soon"}, nil, "http://own.example/", true},
		{"no such ConfigMap", map[string]string{"auth-url": "http://own.example/", "auth-proxy-set-headers": "none"}, nil, "http://own.example/", true},
		{"a ConfigMap", map[string]string{"auth-url": "http://own.example/", "auth-proxy-set-headers": "shop/fields"}, nil, "http://own.example/", false},
		{"a ConfigMap of others", map[string]string{"auth-url": "http://own.example/", "auth-proxy-set-headers": "ops/fields"}, nil, "http://own.example/", true},
		{"a ConfigMap that is no fields", map[string]string{"auth-url": "http://own.example/", "auth-proxy-set-headers": "bad"}, nil, "http://own.example/", true},
	} {
		in := Input{Namespace: "shop", Annotations: map[string]string{}, Config: tt.config, OwnConfigMap: func(name string) map[string]string {
			return map[string]map[string]string{"fields": {"X-Gate": "$host"}, "bad": {"X Y": "1"}}[name]
		}}
		for k, v := range tt.annotations {
			in.Annotations[Prefix+k] = v
		}
		s, findings := Parse(in)
		url := ""
		if s.Auth != nil {
			url, _ = s.Auth.URL.fixed()
		}
		if url != tt.url || (len(s.Refused) > 0) != tt.refused {
			t.Errorf("%s: asks %q, refused %q, %v", tt.name, url, s.Refused, findings)
		}
	}
}

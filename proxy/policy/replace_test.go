package policy

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
)

// through returns what becomes of a backend's response with these fields.
func through(t *testing.T, annotations map[string]string, fields http.Header) http.Header {
	t.Helper()
	in := Input{Profile: Spec, Namespace: "shop", Annotations: map[string]string{}}
	for k, v := range annotations {
		in.Annotations[Prefix+k] = v
	}
	s, findings := Parse(in)
	if len(findings) > 0 {
		t.Fatalf("%v: %v", annotations, findings)
	}
	w := &writer{ResponseRecorder: httptest.NewRecorder(), scheme: "https", path: "/"}
	Wrap(&s, Rule{Host: "a.example"}, &Env{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range fields {
			w.Header()[name] = values
		}
		w.WriteHeader(http.StatusFound)
	})).ServeHTTP(w, httptest.NewRequest("GET", "https://a.example/", nil))
	return w.Result().Header
}

func TestReplaceLocation(t *testing.T) {
	for _, test := range []struct{ from, to, location, want string }{
		{"http://in.example:8080/", "https://a.example/", "http://in.example:8080/x?y", "https://a.example/x?y"},
		{"http://in.example:8080/", "https://a.example/", "http://other.example/x", "http://other.example/x"},
		{"http://in.example:8080/", "/", "http://in.example:8080", "http://in.example:8080"},
		{"http://in.example/", "$scheme://$host/app/", "http://in.example/x", "https://a.example/app/x"},
		{"/", "/app/", "/x", "/app/x"},
		{"HTTP://in.example/", "/", "http://in.example/x", "http://in.example/x"},
		{"~^http://([a-z]+)\\.in(/.*)$", "https://$1.example$2", "http://b.in/x", "https://b.example/x"},
		{"~ ^http://([a-z]+)\\.in(/.*)$", "https://$1.example$2", "HTTP://b.in/x", "HTTP://b.in/x"},
		{"~*^http://([a-z]+)\\.in(/.*)$", "https://$1.example$2$3", "HTTP://B.in/x", "https://B.example/x"},
		{"off", "off", "/x", "/x"},
		{"default", "default", "/x", "/x"},
		{"/", "$http_x_evil/", "/x", "/x"}, // the variable is empty, so it stays the same path
	} {
		got := through(t, map[string]string{"proxy-redirect-from": test.from, "proxy-redirect-to": test.to}, http.Header{"Location": {test.location}})
		if got.Get("Location") != test.want {
			t.Errorf("%s to %s: want %s, got %s", test.from, test.to, test.want, got.Get("Location"))
		}
	}
	got := through(t, map[string]string{"proxy-redirect-from": "/", "proxy-redirect-to": "/app/"}, http.Header{"Refresh": {"5; URL=/x"}})
	if got.Get("Refresh") != "5; URL=/app/x" {
		t.Errorf("got %q", got.Get("Refresh"))
	}
}

func TestReplaceCookies(t *testing.T) {
	for _, test := range []struct{ domain, path, cookie, want string }{
		{"in.example a.example", "off", "a=b; Domain=in.example; Path=/", "a=b; Domain=a.example; Path=/"},
		{"in.example a.example", "off", "a=b; domain=.IN.example;Path=/", "a=b; domain=a.example;Path=/"},
		{"in.example a.example", "off", "a=b; Domain=b.in.example", "a=b; Domain=b.in.example"},
		{"in.example a.example", "off", "a=Domain=in.example", "a=Domain=in.example"},
		{"~(.+)\\.in$ $1.example", "off", "a=b; Domain=web.in", "a=b; Domain=web.example"},
		{"off", "/app/ /", "a=b; Path=/app/x; HttpOnly", "a=b; Path=/x; HttpOnly"},
		{"off", "/app/ /", "a=b; Path=/other", "a=b; Path=/other"},
		{"off", "~*^/APP(/.*)?$ /new$1", "a=b; path=/app/x", "a=b; path=/new/x"},
		{"in.example a.example", "/ /app/", "a=b; Domain=in.example; Path=/; Secure", "a=b; Domain=a.example; Path=/app/; Secure"},
	} {
		got := through(t, map[string]string{"proxy-cookie-domain": test.domain, "proxy-cookie-path": test.path}, http.Header{"Set-Cookie": {test.cookie, "c=d"}})
		if want := []string{test.want, "c=d"}; !reflect.DeepEqual(got["Set-Cookie"], want) {
			t.Errorf("%s, %s: want %q, got %q", test.domain, test.path, want, got["Set-Cookie"])
		}
	}
	// The cookie of affinity is not the backend's.
	in := map[string]string{"proxy-cookie-path": "/ /app/", "affinity": "cookie", "session-cookie-name": "here"}
	got := through(t, in, http.Header{"Set-Cookie": {"here=1; Path=/", "there=1; Path=/"}})
	if want := []string{"here=1; Path=/", "there=1; Path=/app/"}; !reflect.DeepEqual(got["Set-Cookie"], want) {
		t.Errorf("want %q, got %q", want, got["Set-Cookie"])
	}
}

func TestReplacementKeys(t *testing.T) {
	type entries = map[string]string
	for _, test := range []struct {
		annotations, config entries
		outcomes            []Outcome
		set                 bool
	}{
		{nil, nil, nil, false},
		{entries{"proxy-redirect-from": "/"}, nil, []Outcome{Invalid}, false},
		{entries{"proxy-redirect-to": "/"}, nil, []Outcome{NoEffect}, false},
		{entries{"proxy-redirect-from": "", "proxy-redirect-to": ""}, nil, nil, false},
		{entries{"proxy-redirect-from": "~(", "proxy-redirect-to": "/"}, nil, []Outcome{Invalid}, false},
		{entries{"proxy-redirect-from": "$host", "proxy-redirect-to": "/"}, nil, []Outcome{Invalid}, false},
		{entries{"proxy-redirect-from": "/", "proxy-redirect-to": "/$1"}, nil, []Outcome{Invalid}, false},
		{entries{"proxy-redirect-from": "/", "proxy-redirect-to": "/$nginx_version"}, nil, []Outcome{Invalid}, false},
		{entries{"proxy-redirect-from": "/", "proxy-redirect-to": "/x"}, nil, nil, true},
		{nil, entries{"proxy-redirect-from": "/", "proxy-redirect-to": "/x"}, nil, true},
		{entries{"proxy-redirect-from": "off"}, entries{"proxy-redirect-from": "/", "proxy-redirect-to": "/x"}, nil, false},
		{entries{"proxy-cookie-domain": "one"}, nil, []Outcome{Invalid}, false},
		{entries{"proxy-cookie-path": "one two three"}, nil, []Outcome{Invalid}, false},
		{entries{"proxy-cookie-path": "x"}, entries{"proxy-cookie-path": "/ /x/"}, []Outcome{Invalid}, true},
		{entries{"proxy-cookie-path": "~( x"}, nil, []Outcome{Invalid}, false},
		{entries{"proxy-cookie-path": "off", "proxy-cookie-domain": "off"}, nil, nil, false},
	} {
		in := Input{Config: test.config, Annotations: map[string]string{}}
		for k, v := range test.annotations {
			in.Annotations[Prefix+k] = v
		}
		s, findings := Parse(in)
		var outcomes []Outcome
		for _, f := range findings {
			outcomes = append(outcomes, f.Outcome)
		}
		if !reflect.DeepEqual(outcomes, test.outcomes) || (s.Response != Response{}) != test.set {
			t.Errorf("%v, %v: got %v, %+v", test.annotations, test.config, findings, s.Response)
		}
	}
}

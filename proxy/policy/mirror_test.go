package policy

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestMirrorKeys(t *testing.T) {
	type entries = map[string]string
	for _, test := range []struct {
		annotations entries
		base, host  string // base is empty where nothing is mirrored
		body        bool
		bad         int
	}{
		{nil, "", "", false, 0},
		{entries{"mirror-target": ""}, "", "", false, 0},
		{entries{"mirror-target": "off"}, "", "", false, 0},
		{entries{"mirror-target": "http://m.example$request_uri"}, "http://m.example", "", true, 0},
		{entries{"mirror-target": "https://m.example:8443/a?b=$arg_c", "mirror-request-body": "off", "mirror-host": "x.example"}, "https://m.example:8443", "x.example", false, 0},
		{entries{"mirror-target": "http://[::1]:80/"}, "http://[::1]:80", "", true, 0},
		{entries{"mirror-target": "m.example"}, "", "", false, 1},
		{entries{"mirror-target": "/path"}, "", "", false, 1},
		{entries{"mirror-target": "ftp://m.example/"}, "", "", false, 1},
		{entries{"mirror-target": "http://$host/"}, "", "", false, 1},
		{entries{"mirror-target": "http://m$host.example/"}, "", "", false, 1},
		{entries{"mirror-target": "http://m.example${request_uri}x"}, "http://m.example", "", true, 0},
		{entries{"mirror-target": "http://u:p@m.example/"}, "", "", false, 1},
		{entries{"mirror-target": "http://m.example/$nginx_version"}, "", "", false, 1},
		{entries{"mirror-target": "http://m.example/ x"}, "", "", false, 1},
		{entries{"mirror-target": "http://m.example/", "mirror-host": "a b"}, "http://m.example", "", true, 1},
		{entries{"mirror-target": "http://m.example/", "mirror-request-body": "maybe"}, "http://m.example", "", true, 1},
	} {
		in := Input{Annotations: map[string]string{}}
		for k, v := range test.annotations {
			in.Annotations[NginxPrefix+k] = v
		}
		s, findings := Parse(in)
		m := Mirror{}
		if s.Mirror != nil {
			m = *s.Mirror
		}
		if m.Base != test.base || m.Host != test.host || m.Body != test.body || len(findings) != test.bad || len(s.Refused) > 0 {
			t.Errorf("%v: got %+v, %v", test.annotations, m, findings)
		}
	}
}

// copies is a target of copies.
type copies struct {
	mu   sync.Mutex
	got  []string
	hold chan struct{} // nil, or what each waits for
	err  error
}

func (c *copies) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.hold != nil {
		<-c.hold
	}
	body := ""
	if r.Body != nil {
		text, _ := io.ReadAll(r.Body)
		body = string(text)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, strings.TrimSpace(r.Method+" "+r.URL.String()+" "+r.Host+" "+r.Header.Get("X-A")+" "+r.Header.Get("Ssl-Client-Verify")+r.Header.Get("Connection")+" "+body))
	return &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{}}, c.err
}

func settled(t *testing.T, e *Env) MirrorCounts {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for e.mirrors.running.Load() > 0 {
		if time.Now().After(deadline) {
			t.Fatal("copies are still under way")
		}
		<-time.After(time.Millisecond)
	}
	if n := e.mirrors.bytes.Load(); n != 0 {
		t.Errorf("%d bytes are held", n)
	}
	return e.Mirrored()
}

func TestMirror(t *testing.T) {
	for _, test := range []struct {
		name         string
		annotations  map[string]string
		method, body string
		unknown      bool // the length of the body is not announced
		partly       bool // the backend does not read all of it
		want         string
		counts       MirrorCounts
	}{
		{"GET", nil, "GET", "", false, false, "GET http://m.example/copy/x?y m.example a", MirrorCounts{Sent: 1}},
		{"POST", nil, "POST", "body", false, false, "POST http://m.example/copy/x?y m.example a  body", MirrorCounts{Sent: 1}},
		{"chunked", nil, "POST", "body", true, false, "POST http://m.example/copy/x?y m.example a  body", MirrorCounts{Sent: 1}},
		{"empty", nil, "POST", "", true, false, "POST http://m.example/copy/x?y m.example a", MirrorCounts{Sent: 1}},
		{"no body", map[string]string{"mirror-request-body": "off"}, "POST", "body", false, false, "POST http://m.example/copy/x?y m.example a", MirrorCounts{Sent: 1}},
		{"host", map[string]string{"mirror-host": "x.example"}, "GET", "", false, false, "GET http://m.example/copy/x?y x.example a", MirrorCounts{Sent: 1}},
		{"body not read", nil, "POST", "body", false, true, "", MirrorCounts{Dropped: 1}},
		{"long", nil, "POST", strings.Repeat("x", maxMirrorBody), false, false, "POST http://m.example/copy/x?y m.example a  " + strings.Repeat("x", maxMirrorBody), MirrorCounts{Sent: 1}},
		{"too long", nil, "POST", strings.Repeat("x", maxMirrorBody+1), false, false, "", MirrorCounts{Dropped: 1}},
		{"too long, chunked", nil, "POST", strings.Repeat("x", maxMirrorBody+1), true, false, "", MirrorCounts{Dropped: 1}},
		{"too long, no body", map[string]string{"mirror-request-body": "off"}, "POST", strings.Repeat("x", maxMirrorBody+1), false, false, "POST http://m.example/copy/x?y m.example a", MirrorCounts{Sent: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := Input{Annotations: map[string]string{Prefix + "mirror-target": "http://m.example/copy$request_uri"}}
			for k, v := range test.annotations {
				in.Annotations[Prefix+k] = v
			}
			s, findings := Parse(in)
			if len(findings) > 0 {
				t.Fatal(findings)
			}
			target := &copies{}
			env := &Env{Transport: target}
			var body io.Reader = strings.NewReader(test.body)
			if test.unknown {
				body = io.MultiReader(body)
			}
			r := httptest.NewRequest(test.method, "/x?y", body)
			if test.body == "" && !test.unknown {
				r = httptest.NewRequest(test.method, "/x?y", nil)
			}
			r.Header = http.Header{"X-A": {"a"}, "Ssl-Client-Verify": {"SUCCESS"}, "Connection": {"close"}}
			Wrap(&s, Rule{}, env, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if test.partly {
					return
				}
				got, err := io.ReadAll(r.Body)
				if string(got) != test.body || err != nil {
					t.Errorf("the backend got %d bytes, %v", len(got), err)
				}
				clear(r.Header)
			})).ServeHTTP(&writer{ResponseRecorder: httptest.NewRecorder()}, r)
			if got := settled(t, env); got != test.counts {
				t.Errorf("want %+v, got %+v", test.counts, got)
			}
			got := strings.Join(target.got, "\n")
			if got != test.want {
				t.Errorf("want %.80q, got %.80q", test.want, got)
			}
		})
	}
}

// What a client writes does not lead a copy to another host.
func TestMirrorStaysAtItsHost(t *testing.T) {
	s, _ := Parse(Input{Annotations: map[string]string{Prefix + "mirror-target": "http://m.example$request_uri"}})
	c := &copies{}
	env := &Env{Transport: c}
	for _, target := range []string{"*", "/ok", "http://evil.example/x"} {
		r := httptest.NewRequest("OPTIONS", target, nil)
		Wrap(&s, Rule{}, env, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(&writer{ResponseRecorder: httptest.NewRecorder()}, r)
		settled(t, env)
	}
	if got := env.Mirrored(); got.Dropped != 1 || len(c.got) != 2 || c.got[0] != "OPTIONS http://m.example/ok m.example" || c.got[1] != "OPTIONS http://m.example/x m.example" {
		t.Errorf("got %+v, %q", got, c.got)
	}
}

// A target that does not answer holds no request, and no more than so many copies.
func TestMirrorBounded(t *testing.T) {
	s, _ := Parse(Input{Annotations: map[string]string{Prefix + "mirror-target": "http://m.example/"}})
	c := &copies{hold: make(chan struct{}), err: errors.New("no answer")}
	env := &Env{Transport: c}
	h := Wrap(&s, Rule{}, env, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	for range maxMirrored + 10 {
		h.ServeHTTP(&writer{ResponseRecorder: httptest.NewRecorder()}, httptest.NewRequest("POST", "/", strings.NewReader("body")))
	}
	close(c.hold)
	if got := settled(t, env); got != (MirrorCounts{Failed: maxMirrored, Dropped: 10}) {
		t.Errorf("got %+v", got)
	}
}

// The bodies of copies have a limit together.
func TestMirrorBytesBounded(t *testing.T) {
	s, _ := Parse(Input{Annotations: map[string]string{Prefix + "mirror-target": "http://m.example/"}})
	c := &copies{hold: make(chan struct{})}
	env := &Env{Transport: c}
	h := Wrap(&s, Rule{}, env, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	body := strings.Repeat("x", maxMirrorBody)
	for range maxMirroredBytes/maxMirrorBody + 5 {
		h.ServeHTTP(&writer{ResponseRecorder: httptest.NewRecorder()}, httptest.NewRequest("POST", "/", strings.NewReader(body)))
	}
	close(c.hold)
	if got := settled(t, env); got != (MirrorCounts{Sent: maxMirroredBytes / maxMirrorBody, Dropped: 5}) {
		t.Errorf("got %+v", got)
	}
}

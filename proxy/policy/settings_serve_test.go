package policy

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
)

// serve sends r through the handlers of a ConfigMap, in front of backend.
func serve(t *testing.T, config map[string]string, r *http.Request, w *writer, backend http.HandlerFunc) {
	t.Helper()
	s, findings := Parse(Input{Profile: Nginx, Config: config, ConfigMap: func(namespace, name string) map[string]string {
		return map[string]map[string]string{
			"n/out": {"X-Site": "a", "Cache-Control": "no-cache", "X-Gone": ""},
			"n/in":  {"X-Tenant": "t1", "X-Host-Copy": "$host", "X-Evil": "", "Host": "fixed.example", "Connection": "close", "X-Fairlead-Hops": "0", "bad name": "x", "X-Two": "a\nb"},
		}[namespace+"/"+name]
	}})
	if len(s.Refused) > 0 {
		t.Fatalf("findings: %v", findings)
	}
	w.ResponseRecorder, w.scheme, w.path = httptest.NewRecorder(), "https", "/"
	Wrap(&s, Rule{}, &Env{}, backend).ServeHTTP(w, r)
}

func TestFields(t *testing.T) {
	w := &writer{client: "192.0.2.1"}
	config := map[string]string{"add-headers": "n/out", "proxy-set-headers": "n/in", "hide-headers": "x-secret, X-None"}
	serve(t, config, httptest.NewRequest("GET", "/", nil), w, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Secret", "1")
		w.Header().Set("X-Gone", "1")
		w.Header().Set("Cache-Control", "public")
		w.WriteHeader(500)
	})
	h := w.Result().Header
	if h.Get("X-Site") != "a" || h.Get("Cache-Control") != "no-cache" || h["X-Secret"] != nil || h["X-Gone"] != nil {
		t.Errorf("response: %v", h)
	}
	if want := []string{"Host: fixed.example", "X-Evil: ", "X-Host-Copy: a.example", "X-Tenant: t1", "X-Two: "}; !slices.Equal(w.fields, want) {
		t.Errorf("for the backend: %q, want %q", w.fields, want)
	}
	for _, bad := range []string{"n", "/x", "n/missing"} {
		if _, findings := ParseConfig(map[string]string{"add-headers": bad}, nil); len(findings) != 1 || findings[0].Outcome != Invalid {
			t.Errorf("add-headers: %s: %v", bad, findings)
		}
	}
	if _, findings := ParseConfig(map[string]string{"hide-headers": "Content-Length,a b"}, nil); len(findings) != 2 {
		t.Errorf("hide-headers: %v", findings)
	}
}

func TestBlocking(t *testing.T) {
	config := map[string]string{"block-cidrs": "192.0.2.7,198.51.100.0/24", "block-user-agents": "BadBot,~curl/7", "block-referers": `~*spam\.example`}
	for _, tt := range []struct {
		client, agent, referer string
		status                 int
	}{
		{"192.0.2.1", "ok", "", 200},
		{"192.0.2.7", "ok", "", 403},
		{"198.51.100.9", "ok", "", 403},
		{"", "ok", "", 403}, // nobody knows who that is
		{"192.0.2.1", "badbot", "", 403},
		{"192.0.2.1", "badbot 2", "", 200},
		{"192.0.2.1", "x curl/7.1", "", 403},
		{"192.0.2.1", "x CURL/7.1", "", 200},
		{"192.0.2.1", "ok", "https://SPAM.example/", 403},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("User-Agent", tt.agent)
		r.Header.Set("Referer", tt.referer)
		w := &writer{client: tt.client}
		serve(t, config, r, w, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) })
		if w.Code != tt.status {
			t.Errorf("%+v: got %d", tt, w.Code)
		}
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header["User-Agent"] = []string{"ok", "badbot"}
	w := &writer{client: "192.0.2.1"}
	serve(t, config, r, w, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) })
	if w.Code != 403 {
		t.Errorf("a second User-Agent: got %d", w.Code)
	}
	for _, k := range []string{"block-cidrs", "block-user-agents", "block-referers"} {
		if s, _ := Parse(Input{Config: map[string]string{k: "~(,"}}); len(s.Refused) != 1 {
			t.Errorf("%s with a mistake does not fail closed", k)
		}
		// The comma makes two texts of it, which match nothing that was meant.
		if s, _ := Parse(Input{Config: map[string]string{k: "~*a{1,2}"}}); len(s.Refused) != 1 {
			t.Errorf("%s with a comma in braces does not fail closed", k)
		}
	}
}

// The forwarder changes the header of the request, also by proxy-set-headers, which clients are not told.
func TestAddHeadersSpeakOfTheClientsRequest(t *testing.T) {
	s := Set{Fields: &Fields{}}
	f, err := newField("X-Copy", "$http_authorization")
	if err != nil {
		t.Fatal(err)
	}
	s.Fields.Add = []Field{f}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "client's")
	w := &writer{ResponseRecorder: httptest.NewRecorder(), client: "192.0.2.1", path: "/"}
	Wrap(&s, Rule{}, &Env{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Authorization", "the backend's")
		w.WriteHeader(200)
	})).ServeHTTP(w, r)
	if got := w.Result().Header.Get("X-Copy"); got != "client's" {
		t.Errorf("got %q", got)
	}
}

// Of the codings that a client takes and that a response is fit for, brotli is sent before gzip.
func TestBrotli(t *testing.T) {
	body := strings.Repeat("0123456789", 20)
	both := map[string]string{"use-gzip": "true", "enable-brotli": "true", "brotli-types": "application/json", "gzip-min-length": "0"}
	for name, tt := range map[string]struct {
		config       map[string]string
		accept, kind string
		method       string
		want         string
	}{
		"both":             {both, "gzip, br", "application/json", "GET", "br"},
		"gzip alone":       {both, "gzip", "application/json", "GET", "gzip"},
		"brotli alone":     {both, "br", "application/json", "GET", "br"},
		"neither":          {both, "zstd", "application/json", "GET", ""},
		"brotli refused":   {both, "br;q=0, *", "application/json", "GET", "gzip"},
		"no type for it":   {both, "br, gzip", "text/css", "GET", "gzip"},
		"nor for the rest": {both, "br", "text/css", "GET", ""},
		"without gzip":     {map[string]string{"enable-brotli": "true", "brotli-level": "11"}, "br, gzip", "text/css", "GET", "br"},
		"a head":           {both, "br", "application/json", "HEAD", "br"},
		"too short":        {map[string]string{"enable-brotli": "true", "brotli-min-length": "201"}, "br", "text/css", "GET", ""},
		"a bad level":      {map[string]string{"enable-brotli": "true", "brotli-level": "12"}, "br", "text/css", "GET", "br"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, "/", nil)
			r.Header.Set("Accept-Encoding", tt.accept)
			w := &writer{client: "192.0.2.1"}
			serve(t, tt.config, r, w, func(w http.ResponseWriter, r *http.Request) {
				r.Header.Del("Accept-Encoding") // as a forwarder may
				w.Header().Set("Content-Type", tt.kind)
				w.Header().Set("Content-Length", "200")
				w.WriteHeader(200)
				if r.Method == http.MethodHead {
					return
				}
				_, _ = io.WriteString(w, body[:100])
				_ = http.NewResponseController(w).Flush()
				_, _ = io.WriteString(w, body[100:])
			})
			if got := w.Result().Header.Get("Content-Encoding"); got != tt.want {
				t.Fatalf("coding %q, want %q", got, tt.want)
			}
			var from io.Reader = w.Body
			switch tt.want {
			case "br":
				from = brotli.NewReader(w.Body)
			case "gzip":
				z, err := gzip.NewReader(w.Body)
				if err != nil {
					t.Fatal(err)
				}
				from = z
			}
			got, err := io.ReadAll(from)
			if tt.method != http.MethodHead && (err != nil || string(got) != body) {
				t.Errorf("%v, body of %d bytes, want %d", err, len(got), len(body))
			}
			if tt.method == http.MethodHead && w.Body.Len() > 0 {
				t.Error("a body for HEAD")
			}
		})
	}
}

func TestGzip(t *testing.T) {
	body := strings.Repeat("0123456789", 50)
	for name, tt := range map[string]struct {
		accept     string
		status     int
		header     map[string]string
		compressed bool
		vary       bool
	}{
		"taken":                  {"gzip", 200, map[string]string{"Content-Type": "application/json; charset=utf-8"}, true, true},
		"not taken":              {"", 200, map[string]string{"Content-Type": "text/html"}, false, true},
		"refused":                {"*, gzip;q=0", 200, map[string]string{"Content-Type": "text/html"}, false, true},
		"anything":               {"br;q=1, *;q=0.1", 200, map[string]string{"Content-Type": "text/html"}, true, true},
		"another type":           {"gzip", 200, map[string]string{"Content-Type": "image/png"}, false, false},
		"another status":         {"gzip", 500, map[string]string{"Content-Type": "text/html"}, false, false},
		"a part":                 {"gzip", 206, map[string]string{"Content-Type": "text/html"}, false, false},
		"not to be transformed":  {"gzip", 200, map[string]string{"Content-Type": "text/html", "Cache-Control": "public, no-transform"}, false, false},
		"encoded already":        {"gzip", 200, map[string]string{"Content-Type": "text/html", "Content-Encoding": "br"}, false, false},
		"short":                  {"gzip", 200, map[string]string{"Content-Type": "text/html", "Content-Length": "255"}, false, false},
		"a strong validator":     {"gzip", 404, map[string]string{"Content-Type": "text/html", "Etag": `"a"`, "Content-Length": "500"}, true, true},
		"no type, and any would": {"gzip", 200, nil, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Accept-Encoding", tt.accept)
			w := &writer{client: "192.0.2.1"}
			serve(t, map[string]string{"use-gzip": "true"}, r, w, func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = nil
				for k, v := range tt.header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, body[:100])
				_ = http.NewResponseController(w).Flush()
				_, _ = io.WriteString(w, body[100:])
			})
			h := w.Result().Header
			if h.Get("Vary") != map[bool]string{true: "Accept-Encoding"}[tt.vary] || (h.Get("Content-Encoding") == "gzip") != tt.compressed {
				t.Errorf("header: %v", h)
			}
			got := w.Body.String()
			if tt.compressed {
				if h.Get("Content-Length") != "" || h.Get("Etag") != "" && h.Get("Etag") != `W/"a"` {
					t.Errorf("header of another representation: %v", h)
				}
				z, err := gzip.NewReader(w.Body)
				if err != nil {
					t.Fatal(err)
				}
				text, err := io.ReadAll(z)
				if err != nil {
					t.Fatal(err)
				}
				got = string(text)
			}
			if got != body {
				t.Errorf("body of %d bytes, want %d", len(got), len(body))
			}
		})
	}
}

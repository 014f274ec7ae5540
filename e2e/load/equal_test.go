package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fairlead-ingress/fairlead/e2e/site"
)

// answer is a backend in Go that does what startBackend's does.
func answer(size int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/headers") {
			w.Write(bytes.Repeat([]byte("x"), size))
			return
		}
		for _, name := range seenHeaders {
			value := r.Header.Get(name)
			if name == "Host" {
				value = r.Host
			}
			fmt.Fprintf(w, "%s: %s\n", name, value)
		}
	})
}

// places makes a place for proxies in front of a backend for the row.
func places(t *testing.T, r Row) place {
	t.Helper()
	ca, err := site.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	at := place{dir: t.TempDir(), cpus: "0", threads: 1}
	if at.cert, at.key, err = ca.Issue(site.Request{Names: []string{"localhost", "*.localhost"}}); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(answer(r.Size))
	t.Cleanup(s.Close)
	at.backendPort = s.Listener.Addr().(*net.TCPAddr).Port
	return at
}

func parseRow(t *testing.T, name string) Row {
	t.Helper()
	r, err := ParseRow(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var shapes = []string{"1k-64", "1k-64-tls-log", "16k-64-routes20"}

// TestFairleadWork starts fairlead for rows of every shape: its manifests are good and it does
// the work that is compared.
func TestFairleadWork(t *testing.T) {
	need(t, "taskset")
	binary, err := site.Build(filepath.Join("..", ".."), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	subject := fairleadSubject("fairlead", binary, nil)
	for _, name := range shapes {
		t.Run(name, func(t *testing.T) { checkSubject(t, subject, name) })
	}
	t.Run("one route for all", func(t *testing.T) { checkSubject(t, withOneRoute(subject), "1k-64-routes20") })
}

func TestOthersWork(t *testing.T) {
	for _, s := range []subject{nginxSubject(), haproxySubject()} {
		t.Run(s.name, func(t *testing.T) {
			need(t, "taskset", s.program)
			for _, name := range shapes {
				t.Run(name, func(t *testing.T) { checkSubject(t, s, name) })
			}
		})
	}
}

func checkSubject(t *testing.T, s subject, name string) {
	r := parseRow(t, name)
	p, err := s.start(places(t, r), r)
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	if err := checkWork(t.Context(), p, r, s.everything); err != nil {
		t.Error(p.explain(err))
	}
	if p.admin != "" {
		if _, err := p.counters(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if !r.Log {
		return
	}
	// The row's request, the one for a host without a route, and the one for the fields.
	eventually(t, "three lines of access log", func() bool {
		n, err := countLines(p.access)
		return err == nil && n >= 3
	})
	p.stop()
	if n, err := countLines(p.access); err != nil || n != 3 {
		t.Errorf("want a line of access log for each of 3 requests, got %d, %v", n, err)
	}
}

// TestUnequalWork has proxies that do less, or other work: each must be found out.
func TestUnequalWork(t *testing.T) {
	r := parseRow(t, "1k-64")
	good := func(q *http.Request) {
		_, port, _ := net.SplitHostPort(q.Host)
		for name, value := range map[string]string{
			"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1", "X-Forwarded-Proto": "http",
			"X-Forwarded-Host": q.Host, "X-Forwarded-Port": port, "X-Request-ID": "0123456789abcdef",
		} {
			q.Header.Set(name, value)
		}
	}
	for _, c := range []struct {
		name  string
		size  int
		adapt func(q *http.Request)
		all   bool // serves every host
		want  string
	}{
		{"equal", r.Size, func(*http.Request) {}, false, ""},
		{"body", r.Size - 1, func(*http.Request) {}, false, "a body of 1024 bytes"},
		{"no request id", r.Size, func(q *http.Request) { q.Header.Del("X-Request-ID") }, false, "X-Request-ID"},
		{"proto", r.Size, func(q *http.Request) { q.Header.Set("X-Forwarded-Proto", "https") }, false, "X-Forwarded-Proto"},
		{"host", r.Size, func(q *http.Request) { q.Host = "backend" }, false, `Host: "backend"`},
		{"connections", r.Size, func(q *http.Request) { q.Header.Set("Connection", "close") }, false, "connections that are kept"},
		{"every host", r.Size, func(*http.Request) {}, true, "a host that has no route"},
	} {
		t.Run(c.name, func(t *testing.T) {
			handler := answer(c.size)
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				if !c.all && !strings.HasPrefix(q.Host, "localhost:") {
					w.WriteHeader(http.StatusNotFound)
					return
				}
				good(q)
				c.adapt(q)
				handler.ServeHTTP(w, q)
			}))
			defer s.Close()
			p := &proxy{process: &process{name: "proxy"}, http: s.Listener.Addr().String()}
			err := checkWork(context.Background(), p, r, false)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("want an error with %q, got %v", c.want, err)
			}
		})
	}
}

// TestRun measures nginx in a short run of the whole program, where its programs are installed.
func TestRun(t *testing.T) {
	need(t, "taskset", "nginx", "wrk")
	t.Setenv("TMPDIR", t.TempDir())
	var out, progress bytes.Buffer
	report := filepath.Join(t.TempDir(), "report.json")
	err := run(t.Context(), strings.Fields("-proxies nginx -rows 1k-4,1k-4-routes20 -rounds 2 -seconds 1 -warmup 0 -count 0 -proxy-cpus 0 -load-cpus 0 -o "+report), &out, &progress)
	if err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"name": "1k-4-routes20"`, `"proxyShare"`, `"median"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("want %s in the report\n%s", want, text)
		}
	}
	if strings.Count(progress.String(), " us ") != 4 {
		t.Errorf("want two rounds of two rows\n%s", &progress)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("want nothing left behind, got %v, %v", left, err)
	}
	if children, err := tree(os.Getpid()); err != nil || len(children) != 1 {
		t.Errorf("want no process left, got %v, %v", children, err)
	}
	if err := run(t.Context(), []string{"-list"}, io.Discard, io.Discard); err != nil {
		t.Error(err)
	}
}

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/proxy"
)

// admin is the port for probes, metrics and debugging. Clients never reach it: it has a
// listener of its own, and the data plane refuses to connect to it.
type admin struct {
	listener *sparing
	server   *http.Server
	// stopping makes the instance not ready, for load balancers to look elsewhere.
	stopping atomic.Bool
}

func newAdmin(address string, in *instance) (*admin, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("admin port: %w", err)
	}
	a := &admin{listener: newSparing(l)}
	mux := http.NewServeMux()
	in.dashboard.Register(mux)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok\n") })
	ready := func(w http.ResponseWriter, _ *http.Request) {
		switch {
		case a.stopping.Load():
			text(w, http.StatusServiceUnavailable, "shutting down\n")
		case !in.controller.Ready():
			text(w, http.StatusServiceUnavailable, "not ready: the first table is not live yet\n")
		default:
			text(w, http.StatusOK, "ok\n")
		}
	}
	mux.HandleFunc("GET /readyz", ready)
	mux.Handle("GET /metrics", in.metrics.Handler())
	mux.HandleFunc("GET /debug/table", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = in.proxy.Table().WriteTo(w) // the client's affair
	})
	mux.HandleFunc("GET /debug/problems", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		_ = enc.Encode(in.shownProblems()) // the client's affair
	})
	mux.HandleFunc("GET /debug/certs", in.serveCerts)
	mux.HandleFunc("GET /debug/quirks", in.serveQuirks)
	mux.HandleFunc("GET /debug/explain", in.serveExplain)
	mux.HandleFunc("POST /debug/explain", in.serveExplain)
	if in.profiling {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	a.server = &http.Server{Handler: notFromTheDataPlane(ownPages(alsoAt(in.foreign.healthPath, ready, mux))), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 60 * time.Second}
	return a, nil
}

// alsoAt answers with h at one path more, and with next at all others.
func alsoAt(path string, h http.HandlerFunc, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path != "" && r.URL.Path == path && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			h(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// notFromTheDataPlane refuses what a Fairlead forwarded: however an endpoint came to lead to
// an admin port, of this replica or another, clients must not reach it.
func notFromTheDataPlane(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.Header[proxy.HopsHeader]) > 0 {
			text(w, http.StatusForbidden, "the admin port answers nothing that came through the data plane\n")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func text(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprint(w, body) // the client's affair
}

// shownProblem is a Problem as /debug/problems and "fairlead check -o json" show it.
type shownProblem struct {
	Severity string `json:"severity"`
	Reason   string `json:"reason"`
	Object   string `json:"object"`
	Field    string `json:"field,omitempty"`
	Text     string `json:"text"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
}

// compare orders by place, then by what is said.
func (s shownProblem) compare(q shownProblem) int {
	return cmp.Or(cmp.Compare(s.File, q.File), cmp.Compare(s.Line, q.Line), cmp.Compare(s.Object, q.Object),
		cmp.Compare(s.Reason, q.Reason), cmp.Compare(s.Text, q.Text))
}

// position finds the place of a field of an object in a file.
type position func(o ingress.Object, field string) (file string, line int, ok bool)

func show(p ingress.Problem, where position) shownProblem {
	s := shownProblem{
		Severity: p.Severity.String(), Reason: string(p.Reason), Object: p.Object.String(),
		Field: p.Field, Text: p.Err.Error(),
	}
	if where != nil {
		if file, line, ok := where(p.Object, p.Field); ok {
			s.File, s.Line = file, line
		}
	}
	return s
}

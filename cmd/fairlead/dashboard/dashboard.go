// Package dashboard is the page that the admin port shows people: what is wrong first, the
// routes with what they carry, pools, certificates, what changed, and a box to ask why a URL does
// what it does.
//
// It is read-only, holds no state that decides anything, and counts nothing: rates are made from
// the metrics that are counted anyway. Everything on it works without JavaScript, which only
// loads the page again and puts the new parts in place of the old ones.
package dashboard

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"net/url"
	"time"

	"github.com/fairlead-ingress/fairlead/k8s/explain"
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/tls/certs"
)

// Dashboard serves the page. Its fields are set before the first request and not changed
// afterwards; the functions are called from any goroutine.
type Dashboard struct {
	Version string
	Started time.Time
	Proxy   *proxy.Proxy
	Pools   *upstream.Registry
	Certs   *certs.Store
	Rates   *Rates
	History *History
	// Problems are all that are known now.
	Problems func() []Problem
	// Ready reports whether the first table is live.
	Ready func() bool
	// Role is what this replica does beside serving, such as "leader"; "" for nothing.
	Role func() string
	// Synced is when the configuration was last known to be that of its source.
	Synced func() time.Time
	// Explain answers what was asked; with probe set it connects to endpoints. An error is
	// the asker's mistake, for people.
	Explain func(ctx context.Context, asked url.Values, probe bool) (*explain.Explanation, error)
	// Now is time.Now if nil.
	Now func() time.Time
}

// Problem is a mistake in the configuration, as the page shows it.
type Problem struct {
	Severity string // "error" or "warning"
	Reason   string
	Object   string
	Field    string
	Text     string
	File     string // empty in a cluster
	Line     int
}

//go:embed dashboard.css dashboard.js icon.svg
var static embed.FS

// Register adds the page and its parts to the mux of the admin port.
func (d *Dashboard) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", d.show)
	// A probe makes connections, so it is asked for by POST, and by no other site's page.
	mux.Handle("POST /{$}", new(http.CrossOriginProtection).Handler(http.HandlerFunc(d.show)))
	for name, contentType := range map[string]string{
		"dashboard.css": "text/css; charset=utf-8", "dashboard.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml",
	} {
		mux.HandleFunc("GET /"+name, serveStatic(name, contentType))
	}
}

// contentPolicy lets the page load what comes with it, and nothing else.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func secure(h http.Header) {
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// maxForm bounds what is read of a form.
const maxForm = 64 << 10

func (d *Dashboard) show(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the form cannot be read: "+err.Error(), http.StatusBadRequest)
		return
	}
	p := d.page(r.Context(), readQuery(r.Form), r.Method == http.MethodPost)
	var b bytes.Buffer
	if err := p.render().Render(&b); err != nil {
		http.Error(w, "the page cannot be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = b.WriteTo(w) // the client's affair
}

// serveStatic serves an embedded file, which a browser asks about each time: it changes with the
// binary.
func serveStatic(name, contentType string) http.HandlerFunc {
	content, err := static.ReadFile(name)
	if err != nil {
		panic(err) // it is embedded
	}
	sum := sha256.Sum256(content)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	return func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("ETag", tag)
		w.Header().Set("Cache-Control", "no-cache")
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
	}
}

func (d *Dashboard) now() time.Time {
	if d.Now != nil {
		return d.Now()
	}
	return time.Now()
}

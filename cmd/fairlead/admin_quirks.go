package main

import (
	"encoding/json"
	"iter"
	"net/http"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
)

// shownQuirk is a quirk, as /debug/quirks shows it, with what depends on it.
type shownQuirk struct {
	Quirk        string `json:"quirk"`
	Text         string `json:"text"`
	IngressNginx bool   `json:"ingressNginx"` // on in that profile
	Spec         bool   `json:"spec"`         // on in the other
	Requests     uint64 `json:"requests"`
	Uncounted    string `json:"uncounted,omitempty"` // why requests are not counted
	// Routes are those of the live table; a rule that changes begins anew.
	Routes []quirkRoute `json:"routes"`
}

type quirkRoute struct {
	Ingress  string `json:"ingress"`
	Host     string `json:"host"`
	Path     string `json:"path"`
	PathType string `json:"pathType"`
	Requests uint64 `json:"requests"`
	Sample   string `json:"sample"` // method and URL, without the query, of one of them
}

// serveQuirks answers /debug/quirks.
func (in *instance) serveQuirks(w http.ResponseWriter, _ *http.Request) {
	docs := policy.QuirkDocs()
	nginx, spec := in.switches.Of(policy.Nginx), in.switches.Of(policy.Spec)
	shown := make([]shownQuirk, len(docs))
	for i, d := range docs {
		shown[i] = shownQuirk{
			Quirk: d.Name, Text: d.Doc, IngressNginx: nginx.Has(d.Quirk), Spec: spec.Has(d.Quirk),
			Requests: in.proxy.QuirkRequests(d.Quirk), Uncounted: d.Uncounted, Routes: []quirkRoute{},
		}
	}
	for _, of := range in.proxy.Table().QuirkUses() {
		for _, u := range of.Uses {
			s := &shown[u.Quirk]
			s.Routes = append(s.Routes, quirkRoute{
				Ingress: of.Rule.Origin.String(), Host: of.Rule.Host, Path: of.Rule.Path, PathType: of.Rule.PathType.String(),
				Requests: u.Requests, Sample: u.Sample,
			})
		}
	}
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	_ = enc.Encode(shown) // the client's affair
}

// quirkRequests yields each quirk that is counted, with the requests that depended on it.
func (in *instance) quirkRequests() iter.Seq2[string, uint64] {
	return func(yield func(string, uint64) bool) {
		for _, d := range policy.QuirkDocs() {
			if d.Uncounted == "" && !yield(d.Name, in.proxy.QuirkRequests(d.Quirk)) {
				return
			}
		}
	}
}

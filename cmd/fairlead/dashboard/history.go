package dashboard

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
	"github.com/fairlead-ingress/fairlead/tls/certs"
)

// What History keeps: generations, and the changes of each that are told one by one.
const (
	maxGenerations = 50
	maxTold        = 20
)

// History is the last changes of what is served. Make it with NewHistory.
type History struct {
	wake    chan struct{}
	pending atomic.Pointer[Live]

	mu   sync.Mutex
	ring []Generation // oldest first

	// Of the live state; for Run's goroutine alone.
	table        *proxy.Table             // nil before the first
	routes       int                      // that it serves
	certificates map[string]certs.Binding // by host
	bindings     []certs.Binding          // that certificates was made of
}

// Generation is one change that went live.
type Generation struct {
	Number   uint64
	At       time.Time
	Took     time.Duration
	Routes   int // that are served
	Errors   int // Problems then
	Warnings int
	// The changes: how many there were, and the first of them in words.
	Added, Removed, Changed, Certificates int
	Told                                  []Told
}

// Told is one change in words.
type Told struct {
	Sign string // "added", "removed", "changed" or "certificate"
	Text string
}

// Live is what is served, and how it came to be.
type Live struct {
	At               time.Time
	Took             time.Duration
	Table            *proxy.Table
	Certificates     []certs.Binding
	Errors, Warnings int
}

// NewHistory returns a History of nothing.
func NewHistory() *History { return &History{wake: make(chan struct{}, 1)} }

// Note tells of what is live now. It does not block: of several that come while one is looked
// at, the last counts.
func (h *History) Note(l Live) {
	h.pending.Store(&l)
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// Run looks at what is noted until ctx ends.
func (h *History) Run(ctx context.Context) {
	for {
		select {
		case <-h.wake:
			if l := h.pending.Swap(nil); l != nil {
				h.take(*l)
			}
		case <-ctx.Done():
			return
		}
	}
}

// take compares what is live now with what was before.
func (h *History) take(l Live) {
	g := Generation{Number: l.Table.Generation(), At: l.At, Took: l.Took, Errors: l.Errors, Warnings: l.Warnings}
	first := h.table == nil
	came, left := l.Table.Difference(h.table)
	fresh, gone := withPaths(came), withPaths(left)
	h.table, h.routes = l.Table, h.routes+len(fresh)-len(gone)
	g.Routes = h.routes
	told := h.certificatesChanged(l.Certificates, &g)
	if first {
		g.Added, g.Certificates = len(fresh), len(h.certificates)
	} else {
		g.changes(fresh, gone)
		g.Told = append(g.Told, told[:min(len(told), max(0, maxTold-len(g.Told)))]...)
	}
	if !first && g.Added+g.Removed+g.Changed+g.Certificates == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ring = append(h.ring, g)
	if len(h.ring) > maxGenerations {
		h.ring = slices.Clone(h.ring[len(h.ring)-maxGenerations:])
	}
}

// withPaths leaves out rules that do nothing but make a host exist.
func withPaths(rules []*proxy.Rule) []*proxy.Rule {
	return slices.DeleteFunc(rules, func(r *proxy.Rule) bool { return r.PathType == router.HostOnly })
}

// place is what two rules have in common of which one took the other's place.
type place struct {
	host, path string
	pathType   router.PathType
}

func placeOf(r *proxy.Rule) place { return place{r.Host, r.Path, r.PathType} }

func (p place) String() string {
	host := p.host
	if host == "" {
		host = "*"
	}
	if p.pathType == router.Default {
		return host + " default backend"
	}
	return host + p.path + " " + p.pathType.String()
}

func (g *Generation) changes(fresh, gone []*proxy.Rule) {
	slices.SortFunc(gone, func(a, b *proxy.Rule) int { return strings.Compare(placeOf(a).String(), placeOf(b).String()) })
	before := make(map[place]*proxy.Rule, len(gone))
	for _, r := range gone {
		before[placeOf(r)] = r
	}
	tell := func(sign, text string) {
		if len(g.Told) < maxTold {
			g.Told = append(g.Told, Told{sign, text})
		}
	}
	for _, r := range fresh {
		p := placeOf(r)
		old := before[p]
		if old == nil {
			g.Added++
			tell("added", p.String()+" → "+leads(r)+", Ingress "+r.Origin.String())
			continue
		}
		g.Changed++
		tell("changed", p.String()+": "+difference(old, r))
		delete(before, p)
	}
	for _, r := range gone {
		if before[placeOf(r)] == r {
			g.Removed++
			tell("removed", placeOf(r).String()+" → "+leads(r)+", Ingress "+r.Origin.String())
		}
	}
}

// leads is where a rule leads to.
func leads(r *proxy.Rule) string {
	if r.Answer != (proxy.Answer{}) {
		return fmt.Sprintf("answer %d %s", r.Answer.Status, r.Answer.Reason)
	}
	if r.Backend == (upstream.Key{}) {
		return "nothing"
	}
	return r.Backend.String()
}

func difference(a, b *proxy.Rule) string {
	var parts []string
	if a.Origin != b.Origin {
		parts = append(parts, fmt.Sprintf("Ingress %s → %s", a.Origin, b.Origin))
	}
	if before, now := leads(a), leads(b); before != now {
		parts = append(parts, before+" → "+now)
	}
	if before, now := strings.Join(proxy.PolicyNames(a), ", "), strings.Join(proxy.PolicyNames(b), ", "); before != now {
		parts = append(parts, fmt.Sprintf("policies [%s] → [%s]", before, now))
	}
	if len(parts) == 0 {
		return "the settings of its policies"
	}
	return strings.Join(parts, "; ")
}

// certificatesChanged counts the hosts whose certificates are not those of before.
func (h *History) certificatesChanged(bindings []certs.Binding, g *Generation) (told []Told) {
	if len(bindings) == len(h.bindings) && (len(bindings) == 0 || &bindings[0] == &h.bindings[0]) {
		return nil // the same memory: nothing changed
	}
	now := make(map[string]certs.Binding, len(bindings))
	for _, b := range bindings {
		if _, twice := now[b.Host]; twice {
			continue
		}
		now[b.Host] = b
		old, known := h.certificates[b.Host]
		if known && old.Reason == b.Reason && slices.Equal(old.Certificates, b.Certificates) {
			continue
		}
		g.Certificates++
		text := b.Host + ": " + b.Source
		if b.Reason != "" {
			text = b.Host + ": none, " + b.Reason
		}
		told = append(told, Told{"certificate", text})
	}
	for host := range h.certificates {
		if _, still := now[host]; !still {
			g.Certificates++
			told = append(told, Told{"certificate", host + ": no TLS section any more"})
		}
	}
	slices.SortFunc(told, func(a, b Told) int { return strings.Compare(a.Text, b.Text) })
	h.certificates, h.bindings = now, bindings
	return told
}

// Generations returns the changes, the latest first.
func (h *History) Generations() []Generation {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := slices.Clone(h.ring)
	slices.Reverse(list)
	return list
}

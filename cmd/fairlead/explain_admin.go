package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/fairlead-ingress/fairlead/k8s"
	"github.com/fairlead-ingress/fairlead/k8s/explain"
	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// aroundTime bounds how long Pods and NetworkPolicies are read for a question.
const aroundTime = 5 * time.Second

// serveExplain answers GET /debug/explain, and POST, which alone connects to endpoints: what a
// link or an image can ask for makes no connections. It reads what is live and locks nothing
// that requests need.
func (in *instance) serveExplain(w http.ResponseWriter, r *http.Request) {
	v := r.URL.Query()
	probe := v.Get("probe") == "true"
	if probe && r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		text(w, http.StatusMethodNotAllowed, "probe is asked for by POST\n")
		return
	}
	e, err := in.explainAsked(r.Context(), v, probe)
	switch {
	case errors.Is(err, errNotReady):
		text(w, http.StatusServiceUnavailable, err.Error()+"\n")
		return
	case err != nil:
		text(w, http.StatusBadRequest, err.Error()+"\n")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	_ = enc.Encode(e) // the client's affair
}

var errNotReady = errors.New("not ready: the first table is not live yet")

// explainAsked answers what is asked by the fields of a query. An error but errNotReady is the
// asker's mistake.
func (in *instance) explainAsked(ctx context.Context, v url.Values, probe bool) (*explain.Explanation, error) {
	a := asking{method: v.Get("method"), headers: v["header"], clientIP: v.Get("client-ip"), resolve: v["resolve"], probe: probe}
	if a.method == "" {
		a.method = http.MethodGet
	}
	q, err := a.question(v.Get("url"))
	if err != nil {
		return nil, errors.New(strings.ReplaceAll(strings.TrimPrefix(err.Error(), "--"), "\n--", "\n"))
	}
	controller := explain.Controller{Namespace: v.Get("controller-namespace")}
	if controller.Namespace == "" && in.cluster != nil {
		controller.Namespace = k8s.PodNamespace()
	}
	if selector := v.Get("controller-selector"); selector != "" {
		if controller.Labels, err = labels.ConvertSelectorToLabelsMap(selector); err != nil {
			return nil, fmt.Errorf("controller-selector: %w", err)
		}
	}
	state, ok := in.explained(ctx)
	if !ok {
		return nil, errNotReady
	}
	state.Controller = controller
	return explainWith(ctx, explain.New(state), q, probe, true), nil
}

// explained is what is live now, for questions.
func (in *instance) explained(ctx context.Context) (explain.State, bool) {
	if !in.controller.Ready() {
		return explain.State{}, false
	}
	state := explain.State{
		Options: in.translation(), Proxy: in.proxy, Table: in.proxy.Table(), Certificates: in.certs.Set(),
		Problems: in.controller.Problems(), OnlyNamespace: in.watchNamespace,
	}
	for name, address := range in.addresses() {
		if tcp, ok := address.(*net.TCPAddr); ok && name != "admin" {
			state.Listeners = append(state.Listeners, explain.OpenPort{Scheme: name, Port: uint16(tcp.Port)})
		}
	}
	if in.dir != nil {
		state.Snapshot = in.dir.Snapshot()
		return state, true
	}
	if state.Snapshot = in.cluster.source.Snapshot(); state.Snapshot == nil {
		return state, false
	}
	state.Snapshot = new(*state.Snapshot)
	state.Snapshot.Around = in.cluster.around(ctx, in.watchNamespace)
	state.StatusOf = in.cluster.source.StatusAddresses
	return state, true
}

// aroundAge is how old the surroundings may be that a question is answered with.
const aroundAge = 10 * time.Second

// surroundings remembers what was last read around what is served, so that questions do not
// become a load for the API server.
type surroundings struct {
	mu   sync.Mutex // held while they are read
	last *ingress.Surroundings
	read time.Time
}

// around lists Pods, NetworkPolicies and the rest, where that is allowed. An asker who goes away
// does not end the reading: the next ones are answered with it.
func (c *cluster) around(ctx context.Context, namespace string) *ingress.Surroundings {
	s := &c.surroundings
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil || time.Since(s.read) > aroundAge {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), aroundTime)
		defer cancel()
		s.last, s.read = readAround(ctx, c.client, namespace, k8s.PodNamespace()), time.Now()
		s.last.Refused = refusedTo(ctx, c.client, "", namespace)
	}
	return s.last
}

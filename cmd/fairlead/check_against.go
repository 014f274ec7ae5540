package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/explain"
	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/k8s/manifest"
)

// routeKey is what two routes conflict about.
type routeKey struct{ host, path, pathType string }

// routeValue is what answers under a routeKey.
type routeValue struct{ target, ingress string }

// routeChange is what applying manifests does to one route.
type routeChange struct {
	Change   string `json:"change"` // "appears", "vanishes" or "changes"
	Host     string `json:"host"`
	Path     string `json:"path"`
	PathType string `json:"pathType"`
	Backend  string `json:"backend"` // afterwards; of one that vanishes before
	Ingress  string `json:"ingress"`
	// What answered before a change.
	WasBackend string `json:"wasBackend,omitempty"`
	WasIngress string `json:"wasIngress,omitempty"`
}

func (c routeChange) String() string {
	text := fmt.Sprintf("%s: %s %s %s: %s of Ingress %s", c.Change, c.Host, c.Path, c.PathType, c.Backend, c.Ingress)
	if c.WasIngress != "" {
		text += fmt.Sprintf(", was %s of Ingress %s", c.WasBackend, c.WasIngress)
	}
	return text
}

// compareAgainst returns what applying m would change of what runs at place: the URL of an
// admin port, a directory of manifests, or a kubeconfig file. live are the objects that are there; nil for an
// admin port, which tells none.
func compareAgainst(ctx context.Context, place string, m *ingress.Snapshot, s settings) (live *ingress.Snapshot, routes []routeChange, err error) {
	if strings.HasPrefix(place, "http://") || strings.HasPrefix(place, "https://") {
		before, err := instanceTable(ctx, place)
		if err != nil {
			return nil, nil, err
		}
		return nil, changes(before, applied(before, m, s)), nil
	}
	info, err := os.Stat(place)
	if err != nil {
		return nil, nil, fmt.Errorf("--against: %w", err)
	}
	if info.IsDir() {
		loaded, err := manifest.Load(place)
		if err != nil {
			return nil, nil, fmt.Errorf("--against: %w", err)
		}
		live = loaded.Snapshot()
	} else {
		s.kubeconfig = place
		state, done, err := clusterState(ctx, s, explain.Controller{})
		if err != nil {
			return nil, nil, fmt.Errorf("--against: %w", err)
		}
		done()
		live = state.Snapshot
	}
	return live, changes(tableOf(live, s.translation()), tableOf(overlay(live, m), s.translation())), nil
}

// tableOf is what an instance would serve of the objects.
func tableOf(s *ingress.Snapshot, o ingress.Options) map[routeKey]routeValue {
	state, done := explain.Offline(s, o, nil)
	defer done()
	var text bytes.Buffer
	_, _ = state.Table.WriteTo(&text) // to memory
	return parseTable(&text)
}

// parseTable reads the text of /debug/table.
func parseTable(r io.Reader) map[routeKey]routeValue {
	table := make(map[routeKey]routeValue)
	for lines := bufio.NewScanner(r); lines.Scan(); {
		if f := strings.Fields(lines.Text()); len(f) == 5 && f[0] != "#" {
			table[routeKey{f[0], f[1], f[2]}] = routeValue{f[3], f[4]}
		}
	}
	return table
}

func instanceTable(ctx context.Context, admin string) (map[routeKey]routeValue, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(admin, "/")+"/debug/table", nil)
	if err != nil {
		return nil, usageError{fmt.Errorf("--against: %w", err)}
	}
	client := &http.Client{Transport: new(http.Transport)}
	defer client.CloseIdleConnections()
	resp, err := client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("--against: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || !bytes.HasPrefix(body, []byte("# generation "))) {
		err = errors.New(resp.Status + ": that is no admin port of an instance")
	}
	if err != nil {
		return nil, fmt.Errorf("--against: %w", err)
	}
	return parseTable(bytes.NewReader(body)), nil
}

// applied is a table after the Ingresses of m were applied. A route of another Ingress that is
// there already is older and stays.
func applied(before map[routeKey]routeValue, m *ingress.Snapshot, s settings) map[routeKey]routeValue {
	ours := make(map[string]bool)
	for _, ing := range m.Ingresses {
		ours[ing.Namespace+"/"+ing.Name] = true
	}
	after := make(map[routeKey]routeValue)
	for k, v := range before {
		if !ours[v.ingress] {
			after[k] = v
		}
	}
	m, _ = assumeClasses(m, s)
	for k, v := range tableOf(m, s.translation()) {
		if _, taken := after[k]; !taken {
			after[k] = v
		}
	}
	return after
}

// overlay is live with the objects of m applied: those of the same name are replaced and keep
// their age, the others are the youngest.
func overlay(live, m *ingress.Snapshot) *ingress.Snapshot {
	out := &ingress.Snapshot{
		Services: maps.Clone(live.Services), Slices: maps.Clone(live.Slices), Secrets: maps.Clone(live.Secrets),
		ConfigMaps: maps.Clone(live.ConfigMaps), LocalEndpoints: live.LocalEndpoints, Around: live.Around,
	}
	age := make(map[types.NamespacedName]metav1.Time)
	replaced := make(map[types.NamespacedName]bool)
	for _, ing := range live.Ingresses {
		age[types.NamespacedName{Namespace: ing.Namespace, Name: ing.Name}] = ing.CreationTimestamp
	}
	for _, ing := range m.Ingresses {
		name := types.NamespacedName{Namespace: ing.Namespace, Name: ing.Name}
		replaced[name] = true
		applied := *ing
		applied.CreationTimestamp = metav1.Now()
		if at, known := age[name]; known {
			applied.CreationTimestamp = at
		}
		out.Ingresses = append(out.Ingresses, &applied)
	}
	for _, ing := range live.Ingresses {
		if !replaced[types.NamespacedName{Namespace: ing.Namespace, Name: ing.Name}] {
			out.Ingresses = append(out.Ingresses, ing)
		}
	}
	out.Classes = slices.Clone(m.Classes)
	for _, c := range live.Classes {
		if !slices.ContainsFunc(m.Classes, func(d *netv1.IngressClass) bool { return c.Name == d.Name }) {
			out.Classes = append(out.Classes, c)
		}
	}
	maps.Copy(out.Services, m.Services)
	maps.Copy(out.Secrets, m.Secrets)
	maps.Copy(out.Slices, m.Slices)
	if out.ConfigMaps == nil {
		out.ConfigMaps = make(map[types.NamespacedName]*corev1.ConfigMap)
	}
	maps.Copy(out.ConfigMaps, m.ConfigMaps)
	return out
}

// changes lists the differences of two tables, by host and path.
func changes(before, after map[routeKey]routeValue) []routeChange {
	list := []routeChange{}
	for k, v := range after {
		was, known := before[k]
		switch {
		case !known:
			list = append(list, routeChange{"appears", k.host, k.path, k.pathType, v.target, v.ingress, "", ""})
		case was != v:
			list = append(list, routeChange{"changes", k.host, k.path, k.pathType, v.target, v.ingress, was.target, was.ingress})
		}
	}
	for k, v := range before {
		if _, still := after[k]; !still {
			list = append(list, routeChange{"vanishes", k.host, k.path, k.pathType, v.target, v.ingress, "", ""})
		}
	}
	slices.SortFunc(list, func(a, b routeChange) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Path, b.Path), cmp.Compare(a.PathType, b.PathType))
	})
	return list
}

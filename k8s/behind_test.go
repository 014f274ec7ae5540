package k8s

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

// leadsTo is the Service of the only path of an Ingress that there is now; empty for no such.
func (m *mirrored) leadsTo(ingress string) string {
	for _, ing := range m.Snapshot().Ingresses {
		if ing.Name == ingress {
			return ing.Spec.Rules[0].HTTP.Paths[0].Backend.Service.Name
		}
	}
	return ""
}

// leading is app with another Service to lead to.
func leading(name, service string) string {
	return strings.Replace(app(name), "service: {name: "+name, "service: {name: "+service, 1)
}

// latest is the version of the last change.
func (a *apiServer) latest() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.version
}

// goBack makes the server one that knows nothing after a version, and has everything read anew.
func (a *apiServer) goBack(t *testing.T, m *mirrored, version int) {
	t.Helper()
	// The Reflector resumes only a watch that brought something.
	for _, path := range []string{ingressPath + "web", servicePath + "web", slicePath + "web", classPath + "ours"} {
		if a.get(path) != nil {
			a.touch(path)
		}
	}
	last := at(a.get(ingressPath+"web"), "metadata", "resourceVersion")
	eventually(t, "the last version is known", func() bool {
		live, _ := m.statuses.get(service("web"))
		return live.version == last
	})
	m.noted() // those of changes before, which came one by one
	a.set(func() { a.behind, a.forgetful = version, true })
	a.dropWatches()
}

// C5: an API server that is behind the one that was asked before takes nothing back.
func TestServerThatIsBehind(t *testing.T) {
	a := newAPIServer(t)
	a.apply(t, class+app("web")+app("gone"))
	m := runCluster(t, a, ClusterOptions{})
	m.loadedSoon(t)
	old := a.latest()
	a.apply(t, leading("web", "other")+app("new"))
	a.remove(ingressPath + "gone")
	eventually(t, "the changes", func() bool {
		return m.leadsTo("web") == "other" && m.leadsTo("gone") == "" && m.leadsTo("new") == "new"
	})
	first := m.Snapshot()
	eventually(t, "the notifications", func() bool { return len(m.noted()) > 0 })
	lists := a.count("list ingresses")
	a.goBack(t, m, old)
	eventually(t, "several lists that are older", func() bool { return a.count("list ingresses") >= lists+3 })
	if m.Snapshot() != first || len(m.noted()) > 0 {
		t.Errorf("an older state was taken over: web leads to %q, gone to %q, new to %q", m.leadsTo("web"), m.leadsTo("gone"), m.leadsTo("new"))
	}
	a.set(func() { a.behind, a.forgetful = 0, false })
	a.apply(t, app("later"))
	eventually(t, "a change once the server has caught up", func() bool { return m.leadsTo("later") == "later" })
	if m.leadsTo("web") != "other" || m.leadsTo("gone") != "" {
		t.Errorf("web leads to %q, gone to %q", m.leadsTo("web"), m.leadsTo("gone"))
	}
}

// A server whose data were restored from a backup has the truth, though its versions are older.
func TestServerWasRestored(t *testing.T) {
	a := newAPIServer(t)
	a.apply(t, class+app("web")+app("gone"))
	m := &mirrored{Cluster: NewCluster(ClusterOptions{Client: a.client(t)})}
	m.maxBehind = time.Second
	m.run(t)
	m.loadedSoon(t)
	old := a.latest()
	a.apply(t, leading("web", "other"))
	a.remove(ingressPath + "gone")
	eventually(t, "the changes", func() bool { return m.leadsTo("web") == "other" && m.leadsTo("gone") == "" })
	a.goBack(t, m, old)
	eventually(t, "the older state, as there is no newer one", func() bool { return m.leadsTo("web") == "web" && m.leadsTo("gone") == "gone" })
}

// A watch that brings again what it had brought takes no object back.
func TestWatchThatRepeats(t *testing.T) {
	a := newAPIServer(t)
	a.apply(t, class+app("web"))
	m := runCluster(t, a, ClusterOptions{})
	m.loadedSoon(t)
	a.apply(t, leading("web", "other"))
	a.apply(t, app("web"))
	a.touch(ingressPath + "web") // a version that is not kept, as it changes nothing
	version := at(a.get(ingressPath+"web"), "metadata", "resourceVersion")
	eventually(t, "the last version", func() bool {
		live, _ := m.statuses.get(service("web"))
		return live.version == version
	})
	eventually(t, "the notification", func() bool { return len(m.noted()) > 0 })
	first, watches := m.Snapshot(), a.count("watch ingresses")
	a.set(func() { a.repeats = true })
	a.dropWatches()
	eventually(t, "another watch", func() bool { return a.count("watch ingresses") > watches })
	a.apply(t, app("later")) // comes after all of it
	eventually(t, "a change", func() bool { return m.leadsTo("later") == "later" })
	for _, ing := range m.Snapshot().Ingresses {
		if ing.Name == "web" && ing != first.Ingresses[0] {
			t.Error("web is another object than it was")
		}
	}
	if live, _ := m.statuses.get(service("web")); live.version != version {
		t.Errorf("the status of version %s was taken over, after that of %s", live.version, version)
	}
}

func TestOlder(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"9", "10", true},
		{"10", "9", false},
		{"10", "10", false},
		{"", "10", false},
		{"10", "", false},
		{"abc", "abd", false}, // not to be compared
		{strconv.FormatUint(1<<63, 10), strconv.FormatUint(1<<64-1, 10), true},
	} {
		if got := older(tt.a, tt.b); got != tt.want {
			t.Errorf("%q before %q: %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
	var v versions
	for _, seen := range []string{"7", "", "12", "9", "x"} {
		v.saw(seen)
	}
	if v.newest != "12" {
		t.Errorf("newest: %s, want 12", v.newest)
	}
}

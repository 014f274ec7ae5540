package k8s

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/k8s/k8stest"
)

func issuedStore(t *testing.T, a *apiServer, owner string) *IssuedStore {
	return &IssuedStore{Client: a.client(t), Namespace: "fairlead", Owner: owner}
}

func TestIssuedStore(t *testing.T) {
	a := newAPIServer(t)
	ctx := t.Context()
	s := issuedStore(t, a, "fairlead-acme")
	long := strings.Repeat("a.", 120) + "example"
	if r, err := s.Get(ctx, "order", "a.example"); r != nil || err != nil {
		t.Errorf("of nothing: %v, %v", r, err)
	}
	for _, name := range []string{"a.example", long} {
		for _, value := range []string{"one", "two"} {
			if err := s.Put(ctx, "order", name, map[string][]byte{"k": []byte(value)}); err != nil {
				t.Fatal(err)
			}
		}
		if r, err := s.Get(ctx, "order", name); err != nil || string(r["k"]) != "two" {
			t.Errorf("got %v, %v", r, err)
		}
	}
	if names, err := s.List(ctx, "order"); err != nil || len(names) != 2 || !slices.Contains(names, long) {
		t.Errorf("List: %q, %v", names, err)
	}
	if err := s.Put(ctx, "certificate", "a.example", map[string][]byte{"tls.crt": []byte("x"), "tls.key": []byte("y")}); err != nil {
		t.Fatal(err)
	}
	object := a.get("api/v1/namespaces/fairlead/secrets/acme-certificate.a.example")
	if at(object, "type") != "kubernetes.io/tls" || at(object, "metadata", "labels", "fairlead.dev/acme") != "fairlead-acme" {
		t.Errorf("the Secret is %v", object)
	}

	// Another process has the same records, and neither replaces what the other wrote since.
	other := issuedStore(t, a, "fairlead-acme")
	if err := other.Put(ctx, "order", "a.example", map[string][]byte{"k": []byte("blind")}); err == nil {
		t.Error("a record is replaced that was not read")
	}
	if _, err := other.Get(ctx, "order", "a.example"); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(ctx, "order", "a.example", map[string][]byte{"k": []byte("three")}); err != nil {
		t.Fatal(err)
	}
	if err := other.Put(ctx, "order", "a.example", map[string][]byte{"k": []byte("late")}); err == nil {
		t.Error("a record is replaced that was written since it was read")
	}
	if err := s.Delete(ctx, "order", "a.example"); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(ctx, "order", "a.example"); err != nil {
		t.Errorf("deleted again: %v", err)
	}
	if err := s.Put(ctx, "order", "a.example", map[string][]byte{"k": []byte("anew")}); err != nil {
		t.Errorf("after a deletion: %v", err)
	}

	// What is somebody else's is neither read nor listed.
	foreign := issuedStore(t, a, "another-acme")
	if r, err := foreign.Get(ctx, "order", "a.example"); err == nil || strings.Contains(err.Error(), "anew") {
		t.Errorf("got another's: %v, %v", r, err)
	}
	if names, err := foreign.List(ctx, "order"); err != nil || len(names) != 0 {
		t.Errorf("List of another's: %q, %v", names, err)
	}
}

// A Cluster shows what is stored to translation and to whoever answers challenges, without the
// keys of orders, and follows it.
func TestClusterShowsIssued(t *testing.T) {
	a := newAPIServer(t)
	store := issuedStore(t, a, "fairlead-acme")
	ctx := t.Context()
	crt, key, err := k8stest.KeyPair("dns=a.example")
	if err != nil {
		t.Fatal(err)
	}
	put := func(s *IssuedStore, kind, name string, record map[string][]byte) {
		t.Helper()
		if err := s.Put(ctx, kind, name, record); err != nil {
			t.Fatal(err)
		}
	}
	put(store, "certificate", "a.example", map[string][]byte{"tls.crt": crt, "tls.key": key, "directory": []byte("https://ca")})
	put(store, "account", "0123", map[string][]byte{"tls.key": []byte("account key")})
	put(issuedStore(t, a, "another-acme"), "order", "other.example", map[string][]byte{"status": []byte("x")})

	var mu sync.Mutex
	told := make(map[string]map[string][]byte)
	c := NewCluster(ClusterOptions{Client: a.client(t), Issued: &IssuedOptions{Namespace: "fairlead", Owner: "fairlead-acme", Changed: func(kind, name string, record map[string][]byte) {
		mu.Lock()
		defer mu.Unlock()
		if record == nil {
			delete(told, kind+" "+name)
			return
		}
		told[kind+" "+name] = record
	}}})
	running(t, func(ctx context.Context) { _ = c.Run(ctx, func(types.NamespacedName) {}) })
	secret := func(name string) *corev1.Secret {
		if s := c.Snapshot(); s != nil {
			return s.Secrets[types.NamespacedName{Namespace: "fairlead", Name: name}]
		}
		return nil
	}
	eventually(t, "the certificate", func() bool { return secret("acme-certificate.a.example") != nil })
	if s := secret("acme-certificate.a.example"); !bytes.Equal(s.Data["tls.key"], key) || string(s.Data["directory"]) != "https://ca" {
		t.Errorf("the certificate has %d entries", len(s.Data))
	}

	put(store, "order", "b.example", map[string][]byte{"status": []byte("waits"), "token": []byte("t"), "answer": []byte("t.x"), "tls.key": []byte("order key")})
	eventually(t, "the order", func() bool { return secret("acme-order.b.example") != nil })
	if s := secret("acme-order.b.example"); len(s.Data) != 1 || string(s.Data["status"]) != "waits" {
		t.Errorf("translation is shown %q", slices.Collect(maps.Keys(s.Data)))
	}
	mu.Lock()
	if r := told["order b.example"]; string(r["token"]) != "t" || string(r["answer"]) != "t.x" || r["tls.key"] != nil {
		t.Errorf("told of %q", r)
	}
	if names := slices.Sorted(maps.Keys(told)); !slices.Equal(names, []string{"certificate a.example", "order b.example"}) {
		t.Errorf("told of %q", names)
	}
	mu.Unlock()
	if err := store.Delete(ctx, "order", "b.example"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "no order", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return secret("acme-order.b.example") == nil && told["order b.example"] == nil
	})
}

// TestIssuedLosesItsAnnotation: a Secret of which it is no longer known whose record it is, as after a
// restore that left annotations out, is no record, whatever it was before, and is one again with it.
func TestIssuedLosesItsAnnotation(t *testing.T) {
	a := newAPIServer(t)
	store := issuedStore(t, a, "fairlead-acme")
	if err := store.Put(t.Context(), "order", "a.example", map[string][]byte{"status": []byte("waits"), "token": []byte("t"), "answer": []byte("t.x")}); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	told := make(map[string]bool)
	c := NewCluster(ClusterOptions{Client: a.client(t), Issued: &IssuedOptions{Namespace: "fairlead", Owner: "fairlead-acme", Changed: func(kind, name string, record map[string][]byte) {
		mu.Lock()
		defer mu.Unlock()
		told[kind+" "+name] = record != nil
	}}})
	running(t, func(ctx context.Context) { _ = c.Run(ctx, func(types.NamespacedName) {}) })
	shown := func(want bool) func() bool {
		return func() bool {
			s := c.Snapshot()
			mu.Lock()
			defer mu.Unlock()
			return s != nil && (s.Secrets[types.NamespacedName{Namespace: "fairlead", Name: "acme-order.a.example"}] != nil) == want &&
				len(told) == 1 && told["order a.example"] == want
		}
	}
	eventually(t, "the order", shown(true))
	const path = "api/v1/namespaces/fairlead/secrets/acme-order.a.example"
	var notes any
	annotate := func(data string, with bool) {
		a.edit(path, func(o map[string]any) {
			meta := o["metadata"].(map[string]any)
			if notes == nil {
				notes = meta["annotations"]
			}
			delete(meta, "annotations")
			if with {
				meta["annotations"] = notes
			}
			o["data"].(map[string]any)["status"] = data
		})
	}
	annotate("eA==", false)
	eventually(t, "no order", shown(false))
	annotate("eA==", true)
	eventually(t, "the order again", shown(true))
	annotate("eQ==", false)
	a.remove(path)
	eventually(t, "no order at the end", shown(false))
}

// TestIssuedStoreDeletesWhatItKnows: who no longer orders and does not know it yet must not take the
// record away that the next one has made.
func TestIssuedStoreDeletesWhatItKnows(t *testing.T) {
	a := newAPIServer(t)
	late, next := issuedStore(t, a, "fairlead-acme"), issuedStore(t, a, "fairlead-acme")
	ctx := t.Context()
	if err := late.Put(ctx, "order", "a.example", map[string][]byte{"status": []byte("done")}); err != nil {
		t.Fatal(err)
	}
	if _, err := next.Get(ctx, "order", "a.example"); err != nil {
		t.Fatal(err)
	}
	if err := next.Put(ctx, "order", "a.example", map[string][]byte{"url": []byte("https://ca/order/2")}); err != nil {
		t.Fatal(err)
	}
	if err := late.Delete(ctx, "order", "a.example"); err == nil {
		t.Error("the record of another was deleted")
	}
	if record, err := next.Get(ctx, "order", "a.example"); err != nil || string(record["url"]) != "https://ca/order/2" {
		t.Errorf("record %q, %v", record, err)
	}
	if err := next.Delete(ctx, "order", "a.example"); err != nil {
		t.Error(err)
	}
	if err := late.Delete(ctx, "order", "a.example"); err != nil {
		t.Errorf("there is none: %v", err)
	}
}

// Without the right to read Secrets there is a table all the same.
func TestClusterWithoutIssued(t *testing.T) {
	a := newAPIServer(t)
	a.set(func() {
		a.refuse = func(_, resource, _ string) int {
			if resource == "secrets" {
				return http.StatusForbidden
			}
			return 0
		}
	})
	c := NewCluster(ClusterOptions{Client: a.client(t), Issued: &IssuedOptions{Namespace: "fairlead", Owner: "fairlead-acme"}})
	running(t, func(ctx context.Context) { _ = c.Run(ctx, func(types.NamespacedName) {}) })
	eventually(t, "a Snapshot", func() bool { return c.Snapshot() != nil })
}

// sourceOf is a Source that never changes.
type sourceOf struct{ snapshot *ingress.Snapshot }

func (s sourceOf) Run(ctx context.Context, _ func(types.NamespacedName)) error {
	<-ctx.Done()
	return nil
}
func (s sourceOf) Snapshot() *ingress.Snapshot { return s.snapshot }

func TestIssued(t *testing.T) {
	base := &ingress.Snapshot{Secrets: map[types.NamespacedName]*corev1.Secret{{Namespace: "shop", Name: "x"}: {}}}
	s := &Issued{Source: sourceOf{base}, Namespace: "fairlead"}
	s.Set("order", "a.example", map[string][]byte{"status": []byte("waits"), "tls.key": []byte("k")})
	s.Set("account", "0123", map[string][]byte{"tls.key": []byte("k")})
	var notified atomic.Int32
	running(t, func(ctx context.Context) { _ = s.Run(ctx, func(types.NamespacedName) { notified.Add(1) }) })
	eventually(t, "it runs", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.notify != nil })
	first := s.Snapshot()
	order := first.Secrets[types.NamespacedName{Namespace: "fairlead", Name: "acme-order.a.example"}]
	if len(first.Secrets) != 2 || order == nil || order.Data["tls.key"] != nil || s.Snapshot() != first {
		t.Errorf("%d Secrets, the order %v", len(first.Secrets), order)
	}
	s.Set("certificate", "a.example", map[string][]byte{"tls.crt": []byte("c"), "tls.key": []byte("k")})
	s.Set("order", "a.example", nil)
	now := s.Snapshot()
	if notified.Load() != 2 || len(now.Secrets) != 2 || now.Secrets[types.NamespacedName{Namespace: "fairlead", Name: "acme-certificate.a.example"}] == nil {
		t.Errorf("notified %d times, %d Secrets", notified.Load(), len(now.Secrets))
	}
	if len(base.Secrets) != 1 || len(first.Secrets) != 2 {
		t.Error("an older Snapshot has changed")
	}
}

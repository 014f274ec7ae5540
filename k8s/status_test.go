package k8s

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	netv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
)

// publishing is a Status that writes, for a Cluster that reads.
type publishing struct {
	*Status
	cluster *mirrored
	stop    func()
}

func publish(t *testing.T, a *apiServer, o Addresses) *publishing {
	t.Helper()
	const manager = "test-status"
	p := &publishing{cluster: runCluster(t, a, ClusterOptions{FieldManager: manager})}
	p.cluster.loadedSoon(t)
	p.Status = &Status{Client: a.client(t), Cluster: p.cluster.Cluster, Addresses: o, FieldManager: manager}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Run(ctx)
	}()
	p.stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(p.stop)
	return p
}

// translated tells of what was read: all Ingresses of the class "fairlead" are ours.
func (p *publishing) translated() {
	u := Update{Snapshot: p.cluster.Snapshot()}
	for _, ing := range u.Snapshot.Ingresses {
		if *ing.Spec.IngressClassName == "fairlead" {
			u.Owned = append(u.Owned, ing)
		}
	}
	p.Update(u)
}

// address is what the status of an Ingress says.
func (a *apiServer) address(name string) string {
	return fmt.Sprint(at(a.get(ingressPath+name), "status", "loadBalancer", "ingress"))
}

const published = "[map[ip:192.0.2.1]]"

func TestStatusIsWritten(t *testing.T) {
	a := newAPIServer(t)
	foreign := strings.Replace(app("foreign"), "ingressClassName: fairlead", "ingressClassName: other", 1)
	a.apply(t, class+app("a")+app("b")+foreign)
	p := publish(t, a, Addresses{Fixed: []string{"192.0.2.1"}})
	if n := a.count("patch ingresses"); n != 0 {
		t.Errorf("%d writes before anything was translated", n)
	}
	p.translated()
	eventually(t, "both addresses", func() bool { return a.address("a") == published && a.address("b") == published })

	// Somebody removes it: it is written again, without an Update.
	a.edit(ingressPath+"a", func(o map[string]any) {
		o["status"] = map[string]any{}
		o["metadata"].(map[string]any)["managedFields"] = []any{}
	})
	eventually(t, "the address of a again", func() bool { return a.address("a") == published })

	// The class changes, in the object and then in what is ours.
	a.edit(ingressPath+"b", func(o map[string]any) { o["spec"].(map[string]any)["ingressClassName"] = "other" })
	eventually(t, "the change", func() bool {
		for _, ing := range p.cluster.Snapshot().Ingresses {
			if ing.Name == "b" && *ing.Spec.IngressClassName == "other" {
				return true
			}
		}
		return false
	})
	p.translated()
	eventually(t, "no address", func() bool { return a.address("b") == "<nil>" })
	if got := a.address("foreign"); got != "<nil>" {
		t.Errorf("the foreign Ingress has address %s", got)
	}
	p.stop()
	a.apply(t, app("c"))
	eventually(t, "c", func() bool { return len(p.cluster.Snapshot().Ingresses) == 4 })
	p.translated()
	if got := a.address("c"); got != "<nil>" {
		t.Errorf("c has address %s though nobody leads", got)
	}
}

// TestStaleStatusIsNotWritten: a write is about the version that was read, and none other.
func TestStaleStatusIsNotWritten(t *testing.T) {
	a := newAPIServer(t)
	a.apply(t, class+app("a"))
	conflicts := 0
	a.refuse = func(verb, resource, name string) int {
		if verb != "patch" {
			return 0
		}
		// Somebody is quicker, twice.
		if conflicts++; conflicts <= 2 {
			a.touch(ingressPath + "a")
		}
		return 0
	}
	p := publish(t, a, Addresses{Fixed: []string{"192.0.2.1"}})
	p.translated()
	eventually(t, "the address", func() bool { return a.address("a") == published })
	if conflicts < 3 {
		t.Errorf("%d writes, want two that came too late and one more", conflicts)
	}
}

func TestStatusCannotBeWritten(t *testing.T) {
	a := newAPIServer(t)
	a.apply(t, class+app("a")+app("b"))
	a.refuse = func(verb, resource, name string) int {
		if verb == "patch" && name == "a" {
			return http.StatusForbidden
		}
		return 0
	}
	p := publish(t, a, Addresses{Fixed: []string{"192.0.2.1"}})
	p.translated()
	eventually(t, "the other's address", func() bool { return a.address("b") == published })
}

func TestClear(t *testing.T) {
	a := newAPIServer(t)
	a.apply(t, class+app("a")+`
kind: Service
metadata: {name: lb}
spec: {type: LoadBalancer, externalIPs: [192.0.2.1], ports: [{port: 80}]}
---
kind: EndpointSlice
metadata: {name: lb-1, labels: {kubernetes.io/service-name: lb}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1], targetRef: {name: fairlead-0}}]
---
`+app("theirs"))
	a.edit(ingressPath+"theirs", func(o map[string]any) {
		o["spec"].(map[string]any)["ingressClassName"] = "other"
		o["status"] = map[string]any{"loadBalancer": map[string]any{"ingress": []any{map[string]any{"ip": "192.0.2.1"}}}}
	})
	p := publish(t, a, Addresses{Service: service("lb")})
	if err := p.Clear(context.Background()); err != nil { // before anything was translated
		t.Fatal(err)
	}
	p.translated()
	eventually(t, "the address", func() bool { return a.address("a") == published })
	eventually(t, "the address was read back", func() bool {
		live, _ := p.cluster.statuses.get(service("a"))
		return live.ours
	})
	p.stop()
	if err := p.Clear(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := a.address("a"); got != "<nil>" {
		t.Errorf("address %s after Clear", got)
	}
	if got := a.address("theirs"); got != published {
		t.Errorf("address %s of a foreign Ingress, want what was there", got)
	}
}

// TestContestedWrites plays the times of writes to one Ingress that somebody else writes to
// right after each of ours.
func TestContestedWrites(t *testing.T) {
	var r writeRecord
	var times []time.Duration
	begin := time.Now()
	theirs := liveStatus{addresses: []netv1.IngressLoadBalancerIngress{{IP: "198.51.100.1"}}}
	for d := time.Duration(0); d < time.Hour; d += 100 * time.Millisecond {
		if r.mayWrite(begin.Add(d), theirs) == 0 {
			r.wrote = true
			times = append(times, d)
		}
	}
	for i := range times {
		if j := i + writesPerMinute; j < len(times) && times[j]-times[i] < time.Minute {
			t.Errorf("writes at %v: more than %d a minute", times, writesPerMinute)
			break
		}
	}
	if first := times[1] - times[0]; first > 5*time.Second {
		t.Errorf("the second write came %v after the first", first)
	}
	if n := len(times); n < 8 || n > 20 {
		t.Errorf("%d writes in an hour, want ever fewer: %v", n, times)
	}
	// After a long time of peace a single contest is answered soon.
	later := begin.Add(3 * time.Hour)
	r.wrote = true
	if wait := r.mayWrite(later, theirs); wait > 5*time.Second {
		t.Errorf("after peace the first contest waits %v", wait)
	}
}

// TestOwnWritesAreBounded: our own changes of mind are, too, and the last one is written.
func TestOwnWritesAreBounded(t *testing.T) {
	var r writeRecord
	begin := time.Now()
	n := 0
	for d := time.Duration(0); d < time.Minute; d += 100 * time.Millisecond {
		if r.mayWrite(begin.Add(d), liveStatus{ours: true}) == 0 {
			r.wrote = true
			n++
		}
	}
	if n != writesPerMinute {
		t.Errorf("%d writes in a minute, want %d", n, writesPerMinute)
	}
	if wait := r.mayWrite(begin.Add(61*time.Second), liveStatus{ours: true}); wait != 0 {
		t.Errorf("after a minute it still has to wait %v", wait)
	}
}

// TestStatusForgetsWhatIsGone: what is known of the writes to an Ingress goes with it, as previews of
// branches come and go for as long as a replica leads.
func TestStatusForgetsWhatIsGone(t *testing.T) {
	a := newAPIServer(t)
	a.apply(t, class+app("a"))
	p := publish(t, a, Addresses{Fixed: []string{"192.0.2.1"}})
	p.translated()
	w := &statusWriter{Status: p.Status, records: map[types.NamespacedName]*writeRecord{service("a"): {}, service("gone"): {}}}
	w.delayed = workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[types.NamespacedName]{})
	defer w.delayed.ShutDown()
	w.look()
	if len(w.records) != 1 || w.records[service("a")] == nil {
		t.Errorf("%d records, want that of a alone", len(w.records))
	}
}

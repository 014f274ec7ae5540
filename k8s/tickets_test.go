package k8s

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fairlead-ingress/fairlead/tls/tickets"
)

const ticketsPath = "api/v1/namespaces/default/secrets/fairlead-leader-tickets"

// follower is a replica that uses the keys of the Secret.
type follower struct {
	keys atomic.Pointer[tickets.Keys]
	used atomic.Int32
}

func sharing(t *testing.T, a *apiServer, now func() time.Time, log *zap.Logger) (*Tickets, *follower) {
	f := new(follower)
	return &Tickets{
		Client: a.client(t), Namespace: "default", Name: TicketsName(LeaseName("")), Log: log, now: now,
		Use: func(k tickets.Keys) {
			f.keys.Store(&k)
			f.used.Add(1)
		},
	}, f
}

// running runs f until the test ends.
func running(t *testing.T, f func(context.Context)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

// TestTicketsAreShared: what one replica writes all use, rotation by rotation; an empty Secret,
// as the deployments have it, is filled.
func TestTicketsAreShared(t *testing.T) {
	for name, before := range map[string]string{
		"no Secret":       "",
		"an empty Secret": "{kind: Secret, metadata: {name: fairlead-leader-tickets}, type: Opaque}",
		"a broken Secret": "{kind: Secret, metadata: {name: fairlead-leader-tickets}, type: Opaque, data: {current: YQ==, since: Yg==}}",
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPIServer(t)
			a.apply(t, before)
			at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			leader, one := sharing(t, a, func() time.Time { return at }, nil)
			other, two := sharing(t, a, nil, nil)
			running(t, leader.Follow)
			running(t, other.Follow)
			agreed := func(when time.Time) (k tickets.Keys) {
				t.Helper()
				eventually(t, "both use the same keys", func() bool {
					x, y := one.keys.Load(), two.keys.Load()
					if x == nil || y == nil || *x != *y || !x.Since.Equal(when) {
						return false
					}
					k = *x
					return true
				})
				return k
			}
			if err := leader.write(t.Context()); err != nil {
				t.Fatal(err)
			}
			first := agreed(at)
			if err := leader.write(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := a.count("update secrets fairlead-leader-tickets"); n > 1 {
				t.Errorf("%d updates though nothing was due", n)
			}
			at = at.Add(tickets.Period)
			if err := leader.write(t.Context()); err != nil {
				t.Fatal(err)
			}
			if second := agreed(at); second.Current != first.Next || second.Previous != first.Current {
				t.Error("the second keys do not follow from the first")
			}
		})
	}
}

// TestTicketsOfTwoLeaders: of two that write at once one wins, and both use its keys.
func TestTicketsOfTwoLeaders(t *testing.T) {
	a := newAPIServer(t)
	one, f := sharing(t, a, nil, nil)
	two, g := sharing(t, a, nil, nil)
	for _, replica := range []*Tickets{one, two} {
		running(t, replica.Follow)
		running(t, replica.Lead)
	}
	eventually(t, "both use the same keys", func() bool {
		x, y := f.keys.Load(), g.keys.Load()
		return x != nil && y != nil && *x == *y
	})
	if n := a.count("update secrets fairlead-leader-tickets"); n != 0 {
		t.Errorf("%d updates, want none: the first that was there counts", n)
	}
}

// TestTicketsStay: keys that are gone or damaged change nothing for who has some.
func TestTicketsStay(t *testing.T) {
	a := newAPIServer(t)
	core, logs := observer.New(zap.DebugLevel)
	replica, f := sharing(t, a, nil, zap.New(core))
	if err := replica.write(t.Context()); err != nil {
		t.Fatal(err)
	}
	running(t, replica.Follow)
	eventually(t, "keys", func() bool { return f.keys.Load() != nil })
	a.edit(ticketsPath, func(object map[string]any) { object["data"] = map[string]any{"current": "c2VjcmV0", "since": "Yg=="} })
	eventually(t, "a warning", func() bool { return logs.FilterMessageSnippet("no usable keys").Len() > 0 })
	a.remove(ticketsPath)
	if err := replica.write(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the keys of the new Secret", func() bool { return f.used.Load() == 2 })
	for _, entry := range logs.All() {
		if text := entry.Message + entry.ContextMap()["error"].(string); strings.Contains(text, "secret") && strings.Contains(text, "c2VjcmV0") {
			t.Errorf("the log has data of the Secret: %s", text)
		}
	}
}

// TestTicketsMayNotBeWritten: without the right nothing else is disturbed, and it is logged once.
func TestTicketsMayNotBeWritten(t *testing.T) {
	a := newAPIServer(t)
	a.refuse = func(verb, resource, _ string) int {
		if resource == "secrets" {
			return http.StatusForbidden
		}
		return 0
	}
	core, logs := observer.New(zap.InfoLevel)
	replica, f := sharing(t, a, nil, zap.New(core))
	running(t, replica.Follow)
	running(t, replica.Lead)
	warned := func() int { return logs.FilterMessageSnippet("are not written").Len() }
	eventually(t, "a warning", func() bool { return warned() > 0 && a.count("get secrets fairlead-leader-tickets") >= 2 })
	if n := warned(); n != 1 || f.used.Load() != 0 {
		t.Errorf("%d warnings and keys used %d times, want 1 and 0", n, f.used.Load())
	}
}

package issuer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// A limit of new orders is the account's: no other host asks before it ends, but for one whose
// order is made.
func TestLimitIsOfTheAccount(t *testing.T) {
	a, m := newFakeAuthority(t), newMemory()
	i := newIssuer(t, a, m)
	a.setFault(once("finalize", 429, "rateLimited"))
	i.look(t.Context(), "made.example")
	made := m.have(KindOrder, "made.example")
	delete(made, retryAtKey)
	if len(made[urlKey]) == 0 || a.count("order") != 1 {
		t.Fatalf("stored %q", made)
	}
	a.setFault(func(path string) (int, string) {
		if path == "order" {
			return 429, "rateLimited"
		}
		return 0, ""
	})
	i.look(t.Context(), "first.example")
	for _, host := range []string{"second.example", "third.example"} {
		if wait := time.Until(i.look(t.Context(), host)); wait < 59*time.Minute || wait > 73*time.Minute {
			t.Errorf("%s is tried again in %v", host, wait)
		}
		if r := m.have(KindOrder, host); r[failuresKey] != nil || r[retryAtKey] == nil {
			t.Errorf("%s, which was not asked for, has failed: %q", host, r)
		}
	}
	if n := a.count("order"); n != 2 {
		t.Errorf("%d orders were asked for, want 2", n)
	}
	i.look(t.Context(), "made.example")
	if m.have(KindCertificate, "made.example") == nil {
		t.Errorf("the order that was made is not gone on with: %q", m.have(KindOrder, "made.example"))
	}
	a.setFault(nil)
	later(i, 2*time.Hour)
	i.look(t.Context(), "second.example")
	if m.have(KindCertificate, "second.example") == nil {
		t.Errorf("after the limit: %q", m.have(KindOrder, "second.example"))
	}
}

// A limit of certain names holds no other host up.
func TestLimitOfNames(t *testing.T) {
	for text, want := range map[string]bool{
		`too many failed authorizations (5) for "www.a.example" in the last 1h0m0s`:              true,
		`too many certificates (50) already issued for "a.example" in the last 168h0m0s`:         true,
		"too many certificates (5) already issued for this exact set of identifiers in the last": true,
		"too many new orders (300) from this account in the last 3h0m0s":                         false,
		`too many certificates (50) already issued for "aa.example": see https://ca.example/x`:   false,
	} {
		if got := ofNames("www.a.example", errors.New(text)); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
}

// Hosts that always fail leave room for others, which come first.
func TestRetriesLeaveRoom(t *testing.T) {
	a, m := newFakeAuthority(t), newMemory()
	i := newIssuer(t, a, m)
	hold := make(chan struct{})
	i.Visible = func(ctx context.Context, c Challenge) {
		if c.Host != "new.example" {
			select {
			case <-hold:
			case <-ctx.Done():
			}
		}
	}
	var hosts []Host
	for n := range 2 * atOnce {
		hosts = append(hosts, Host{Name: fmt.Sprintf("f%d.example", n), Failed: true})
	}
	i.Want(hosts)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); i.Run(ctx) }()
	eventually(t, "the retries", func() bool { return a.count("authz") >= retriesAtOnce })
	i.Want(append([]Host{{Name: "new.example"}}, hosts...))
	eventually(t, "the new host", func() bool { return m.have(KindCertificate, "new.example") != nil })
	if n := a.count("order"); n > retriesAtOnce+1 {
		t.Errorf("%d orders at once", n-1)
	}
	close(hold)
	eventually(t, "all others", func() bool {
		names, _ := m.List(ctx, KindCertificate)
		return len(names) == len(hosts)+1
	})
	cancel()
	<-ended
}

// TestOwnersTakeTurns: who has more hosts than an authority makes orders for in hours holds no other up.
func TestOwnersTakeTurns(t *testing.T) {
	a, m := newFakeAuthority(t), newMemory()
	i := newIssuer(t, a, m)
	hold := make(chan struct{})
	i.Visible = func(ctx context.Context, c Challenge) {
		if c.Host != "modest.example" {
			select {
			case <-hold:
			case <-ctx.Done():
			}
		}
	}
	hosts := make([]Host, 5*atOnce)
	for n := range hosts {
		hosts[n] = Host{Name: fmt.Sprintf("h%d.example", n), Owner: "greedy"}
	}
	i.Want(slices.Clone(hosts))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); i.Run(ctx) }()
	eventually(t, "as many orders as there may be", func() bool { return a.count("authz") == atOnce })
	i.Want(append(hosts, Host{Name: "modest.example", Owner: "modest"}))
	hold <- struct{}{}
	eventually(t, "the one host of another owner", func() bool { return m.have(KindCertificate, "modest.example") != nil })
	if n := a.count("order"); n > atOnce+2 { // its own, and the one that came after it
		t.Errorf("%d orders, want that the other owner's is the next", n)
	}
	cancel()
	<-ended
}

// TestInTurn: the first of each owner, and of failures all after everything else.
func TestInTurn(t *testing.T) {
	now := time.Now()
	targets := make(map[string]*target)
	for name, h := range map[string]struct {
		owner  string
		failed bool
		due    time.Duration
	}{
		"a1": {"a", false, 1}, "a2": {"a", false, 2}, "a3": {"a", false, 3}, "b1": {"b", false, 9}, "b2": {"b", false, 10}, "c1": {"c", false, 99},
		"af": {"a", true, 0}, "bf": {"b", true, 0},
	} {
		targets[name] = &target{Host: Host{Name: name, Owner: h.owner, Failed: h.failed}, due: now.Add(h.due)}
	}
	targets["running"] = &target{Host: Host{Name: "running", Owner: "d"}, running: true}
	var got []string
	for _, t := range inTurn(targets, map[string]int{"a": 7, "b": 3}) {
		got = append(got, t.Name)
	}
	if want := []string{"c1", "b1", "a1", "b2", "a2", "a3", "bf", "af"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

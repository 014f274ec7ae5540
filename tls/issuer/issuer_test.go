package issuer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

// newIssuer is of a process of its own.
func newIssuer(t *testing.T, a *fakeAuthority, m *memory) *Issuer {
	t.Helper()
	i := &Issuer{Store: m, Authority: a.authority(), Answers: m.answers}
	i.init()
	t.Cleanup(func() {
		i.account.mu.Lock()
		defer i.account.mu.Unlock()
		if i.account.client != nil {
			i.account.client.HTTPClient.CloseIdleConnections()
		}
	})
	return i
}

// later makes the Issuer's clock go ahead.
func later(i *Issuer, d time.Duration) { i.now = func() time.Time { return time.Now().Add(d) } }

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// Whatever the authority is asked for, what would be needed to go on is stored by then.
func TestStoredBeforeAsked(t *testing.T) {
	a, m := newFakeAuthority(t), newMemory()
	i := newIssuer(t, a, m)
	const host = "a.example"
	a.setFault(func(path string) (int, string) {
		r := m.have(KindOrder, host)
		account := m.have(KindAccount, accountName(i.Authority.Directory))
		switch {
		case path == "account" && account[PrivateKeyKey] == nil:
			t.Error("an account is made whose key is not stored")
		case path == "order" && (r[PrivateKeyKey] == nil || account[accountURLKey] == nil):
			t.Errorf("an order is made with %v and account %v stored", r, account)
		case path == "chal" && (len(r[urlKey]) == 0 || string(r[tokenKey]) != "token-0"):
			t.Errorf("a challenge is accepted with %v stored", r)
		case path == "finalize" && (len(r[urlKey]) == 0 || r[PrivateKeyKey] == nil):
			t.Errorf("an order is finalized with %v stored", r)
		}
		if path == "chal" {
			if answer, ok := m.answers.HTTP(host, "token-0"); !ok || !strings.HasPrefix(answer, "token-0.") {
				t.Errorf("the challenge is accepted, and answered with %q", answer)
			}
		}
		return 0, ""
	})
	visible := 0
	i.Visible = func(_ context.Context, c Challenge) {
		visible++
		if c.Host != host || c.Token != "token-0" || c.Type != HTTP01 || a.count("chal") > 0 {
			t.Errorf("Visible of %+v after %d challenges were accepted", c, a.count("chal"))
		}
	}
	next := i.look(t.Context(), host)
	record := m.have(KindCertificate, host)
	c := readCertificate(record, i.Authority.Directory, host)
	if c == nil || next != renewal(c.Leaf, 0) || visible != 1 {
		t.Fatalf("stored %v, next at %v, %d times visible", record, next, visible)
	}
	if r := m.have(KindOrder, host); r != nil {
		t.Errorf("the order stays stored: %v", r)
	}
	if _, ok := m.answers.HTTP(host, "token-0"); ok {
		t.Error("the token stays active")
	}
	if again := i.look(t.Context(), host); again != next || a.count("order") != 1 {
		t.Errorf("looked at again: %v and %d orders", again, a.count("order"))
	}
}

// A process that ends with any request goes on with it in the next, with no second order.
func TestGoesOn(t *testing.T) {
	for _, at := range []string{"authz", "chal", "o", "finalize", "cert"} {
		t.Run(at, func(t *testing.T) {
			a, m := newFakeAuthority(t), newMemory()
			ctx, cancel := context.WithCancel(t.Context())
			a.setFault(func(path string) (int, string) {
				if path == at {
					cancel()
					return http.StatusInternalServerError, "serverInternal"
				}
				return 0, ""
			})
			newIssuer(t, a, m).look(ctx, "a.example")
			if ctx.Err() == nil {
				t.Skipf("%s is not asked for", at)
			}
			a.setFault(nil)
			newIssuer(t, a, m.process()).look(t.Context(), "a.example")
			if m.have(KindCertificate, "a.example") == nil || a.count("order") != 1 || a.accounts != 1 {
				t.Errorf("%d orders, %d accounts, stored %v", a.count("order"), a.accounts, m.have(KindOrder, "a.example"))
			}
		})
	}
}

// An order that was being made when this process lost its right to is stored all the same.
func TestOrderIsStoredThoughCanceled(t *testing.T) {
	a, m := newFakeAuthority(t), newMemory()
	ctx, cancel := context.WithCancel(t.Context())
	a.setFault(func(path string) (int, string) {
		if path == "order" {
			cancel()
		}
		return 0, ""
	})
	newIssuer(t, a, m).look(ctx, "a.example")
	if r := m.have(KindOrder, "a.example"); len(r[urlKey]) == 0 || r[failuresKey] != nil {
		t.Fatalf("stored %v", r)
	}
	a.setFault(nil)
	newIssuer(t, a, m.process()).look(t.Context(), "a.example")
	if m.have(KindCertificate, "a.example") == nil || a.count("order") != 1 {
		t.Errorf("%d orders", a.count("order"))
	}
}

// Two processes that both think that they may order make one order: the second cannot store.
func TestTwoProcesses(t *testing.T) {
	a, m := newFakeAuthority(t), newMemory()
	first, other := newIssuer(t, a, m), m.process()
	second := newIssuer(t, a, other)
	if _, err := second.client(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The second has read that there is nothing, and then the first orders.
	var interleaved atomic.Bool
	m.shared.fault = func(op, kind, _ string) error {
		if op == "put" && kind == KindOrder && interleaved.CompareAndSwap(false, true) {
			m.shared.mu.Unlock()
			other.mu.Unlock()
			first.look(t.Context(), "a.example")
			m.shared.mu.Lock()
			other.mu.Lock()
		}
		return nil
	}
	second.look(t.Context(), "a.example")
	if n := a.count("order"); n != 1 || m.have(KindCertificate, "a.example") == nil {
		t.Errorf("%d orders", n)
	}
}

func TestFailures(t *testing.T) {
	const host = "a.example"
	for _, tt := range []struct {
		name   string
		fault  func(string) (int, string)
		status string        // part of the status
		atMost time.Duration // the next try
		orders int           // after the next try
	}{
		{"rate limit", once("order", 429, "rateLimited"), "rate-limited", 73 * time.Minute, 2},
		{"refusal", once("order", 400, "rejectedIdentifier"), "rejectedIdentifier", 20 * time.Second, 2},
		{"account", once("account", 403, "unauthorized"), "account: ", 32 * time.Second, 1},
		{"finalization refused", once("finalize", 403, "unauthorized"), "(refused)", 20 * time.Second, 2},
		{"finalization limited", once("finalize", 429, "rateLimited"), "(rate-limited)", 73 * time.Minute, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, m := newFakeAuthority(t), newMemory()
			a.setFault(tt.fault)
			next := newIssuer(t, a, m).look(t.Context(), host)
			r := m.have(KindOrder, host)
			if wait := time.Until(next); wait < 10*time.Second || wait > tt.atMost {
				t.Errorf("the next try is in %v, want %v at most", wait, tt.atMost)
			}
			if string(r[failuresKey]) != "1" || !strings.Contains(string(r[StatusKey]), tt.status) || !strings.Contains(string(r[StatusKey]), "next try at ") || r[tokenKey] != nil && r[urlKey] == nil {
				t.Errorf("stored %q", r)
			}
			// Before its time nothing is asked for, whatever process it is; then it succeeds.
			asked := len(a.asked)
			i := newIssuer(t, a, m.process())
			if again := i.look(t.Context(), host); len(a.asked) != asked || again.Sub(next).Abs() > time.Second {
				t.Errorf("looked at again: %v instead of %v, %d requests", again, next, len(a.asked)-asked)
			}
			later(i, 2*time.Hour)
			i.look(t.Context(), host)
			if m.have(KindCertificate, host) == nil || a.count("order") != tt.orders {
				t.Errorf("%d orders, want %d; stored %q", a.count("order"), tt.orders, m.have(KindOrder, host))
			}
		})
	}
}

// An order that the authority no longer has, or that another authority has, is replaced at once.
func TestOrderIsGone(t *testing.T) {
	a, m := newFakeAuthority(t), newMemory()
	key, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, directory := range map[string]string{"gone.example": a.authority().Directory, "other.example": "https://ca.example/dir"} {
		o := order{directory: directory, url: a.server.URL + "/nothing/7", key: key, retryAt: time.Now().Add(-time.Hour)}
		if directory != a.authority().Directory {
			o.retryAt = time.Now().Add(time.Hour) // of another's limits
		}
		r, err := o.record()
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Put(t.Context(), KindOrder, name, r); err != nil {
			t.Fatal(err)
		}
		newIssuer(t, a, m).look(t.Context(), name)
		if m.have(KindCertificate, name) == nil {
			t.Errorf("%s: stored %q", name, m.have(KindOrder, name))
		}
	}
}

// An account that the authority has lost is made anew, with the same key.
func TestAccountIsGone(t *testing.T) {
	a, m := newFakeAuthority(t), newMemory()
	i := newIssuer(t, a, m)
	a.setFault(once("order", 400, "accountDoesNotExist"))
	i.look(t.Context(), "a.example")
	key := string(m.have(KindAccount, accountName(i.Authority.Directory))[PrivateKeyKey])
	later(i, time.Hour)
	i.look(t.Context(), "a.example")
	if m.have(KindCertificate, "a.example") == nil || a.accounts != 2 {
		t.Errorf("%d accounts", a.accounts)
	}
	if got := string(m.have(KindAccount, accountName(i.Authority.Directory))[PrivateKeyKey]); got != key {
		t.Error("the account has another key")
	}
}

// A Store that fails is no failure of the order, which goes on.
func TestStoreFails(t *testing.T) {
	for _, failing := range []string{"get certificate", "get order", "get account", "put account", "put order", "put certificate", "delete order"} {
		t.Run(failing, func(t *testing.T) {
			a, m := newFakeAuthority(t), newMemory()
			broken := true
			m.shared.fault = func(op, kind, _ string) error {
				if broken && op+" "+kind == failing {
					return errors.New("out of order")
				}
				return nil
			}
			i := newIssuer(t, a, m)
			i.look(t.Context(), "a.example")
			m.shared.mu.Lock()
			broken = false
			m.shared.mu.Unlock()
			later(i, time.Hour)
			i.look(t.Context(), "a.example")
			if m.have(KindCertificate, "a.example") == nil || a.count("order") != 1 {
				t.Errorf("%d orders, stored %q", a.count("order"), m.have(KindOrder, "a.example"))
			}
			i.look(t.Context(), "a.example")
			if r := m.have(KindOrder, "a.example"); r != nil {
				t.Errorf("the order stays stored: %q", r)
			}
		})
	}
}

// Run obtains what is wanted, renews what is due, heeds what changes, and logs no secret.
func TestRun(t *testing.T) {
	a, m := newFakeAuthority(t), newMemory()
	i := newIssuer(t, a, m)
	core, logged := observer.New(zap.DebugLevel)
	i.Log = zap.New(core)
	var hosts []Host
	for n := range 3 * atOnce {
		hosts = append(hosts, Host{Name: fmt.Sprintf("h%d.example", n)})
	}
	i.Want(append([]Host(nil), hosts...))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); i.Run(ctx) }()
	issued := func(list []Host) func() bool {
		return func() bool {
			for _, h := range list {
				if m.have(KindCertificate, h.Name) == nil {
					return false
				}
			}
			return true
		}
	}
	eventually(t, "all have certificates", issued(hosts))
	if n := a.count("order"); n != len(hosts) || a.accounts != 1 {
		t.Errorf("%d orders and %d accounts for %d hosts", n, a.accounts, len(hosts))
	}

	// Wanted as they are, with one that is new and one that somebody has deleted.
	for n := range hosts {
		hosts[n].Leaf = readCertificate(m.have(KindCertificate, hosts[n].Name), i.Authority.Directory, hosts[n].Name).Leaf
		hosts[n].Directory = i.Authority.Directory
	}
	i.Want(append([]Host(nil), hosts...))
	if err := m.Delete(ctx, KindCertificate, hosts[0].Name); err != nil {
		t.Fatal(err)
	}
	hosts[0].Leaf = nil
	i.Want(append(append([]Host(nil), hosts...), Host{Name: "new.example"}))
	eventually(t, "the new and the deleted one", func() bool {
		return m.have(KindCertificate, "new.example") != nil && m.have(KindCertificate, hosts[0].Name) != nil
	})
	eventually(t, "no orders remain", func() bool { names, _ := m.List(ctx, KindOrder); return len(names) == 0 })
	if n := a.count("order"); n != len(hosts)+2 {
		t.Errorf("%d orders, want %d", n, len(hosts)+2)
	}
	cancel()
	<-ended

	for _, e := range logged.All() {
		text := fmt.Sprint(e.Message, e.ContextMap())
		if strings.Contains(text, "PRIVATE KEY") || strings.Contains(text, "token-") {
			t.Errorf("logged: %s", text)
		}
	}
	counts := make(map[string]uint64)
	for outcome, n := range i.Outcomes {
		counts[outcome] = n
	}
	if counts["issued"] != uint64(len(hosts)+2) {
		t.Errorf("counted %v", counts)
	}
}

// A failure whose record somebody deletes is tried again at once.
func TestDeletedFailure(t *testing.T) {
	a, m := newFakeAuthority(t), newMemory()
	i := newIssuer(t, a, m)
	a.setFault(once("finalize", 429, "rateLimited"))
	i.Want([]Host{{Name: "a.example"}})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); i.Run(ctx) }()
	eventually(t, "the failure", func() bool { return m.have(KindOrder, "a.example")[failuresKey] != nil })
	if err := m.Delete(ctx, KindOrder, "a.example"); err != nil {
		t.Fatal(err)
	}
	failed := false
	eventually(t, "the certificate", func() bool {
		failed = !failed // Run may miss what lasts but a moment
		i.Want([]Host{{Name: "a.example", Failed: failed}})
		return m.have(KindCertificate, "a.example") != nil
	})
	cancel()
	<-ended
}

// What is due for renewal is renewed when it is found, and one by the clock of later.
func TestRenews(t *testing.T) {
	a, m := newFakeAuthority(t), newMemory()
	i := newIssuer(t, a, m)
	next := i.look(t.Context(), "a.example")
	first := string(m.have(KindCertificate, "a.example")[CertificateKey])
	later(i, time.Until(next)-time.Minute)
	if again := i.look(t.Context(), "a.example"); again != next {
		t.Errorf("before its time: %v", again)
	}
	later(i, time.Until(next)+time.Minute)
	a.setFault(once("order", 429, "rateLimited"))
	i.look(t.Context(), "a.example")
	if got := string(m.have(KindCertificate, "a.example")[CertificateKey]); got != first || m.have(KindOrder, "a.example")[failuresKey] == nil {
		t.Error("a renewal that failed has taken the certificate away, or is not told of")
	}
	later(i, time.Until(next)+3*time.Hour)
	i.look(t.Context(), "a.example")
	if got := string(m.have(KindCertificate, "a.example")[CertificateKey]); got == first || m.have(KindOrder, "a.example") != nil {
		t.Error("not renewed")
	}
}

// What nobody wants goes once it is of no use.
func TestSweep(t *testing.T) {
	a, m := newFakeAuthority(t), newMemory()
	i := newIssuer(t, a, m)
	for _, host := range []string{"wanted.example", "kept.example", "ended.example"} {
		if host == "ended.example" {
			a.life = time.Second
		}
		i.look(t.Context(), host)
		if err := m.Put(t.Context(), KindOrder, host, map[string][]byte{StatusKey: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	for host, tried := range map[string]time.Duration{"lately.example": -50 * time.Minute, "waits.example": time.Hour, "longago.example": -62 * time.Minute} {
		r, err := (&order{directory: i.Authority.Directory, failures: 1, retryAt: time.Now().Add(tried)}).record()
		if err == nil {
			err = m.Put(t.Context(), KindOrder, host, r)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	later(i, time.Minute)
	i.Want([]Host{{Name: "wanted.example"}})
	i.sweep(t.Context())
	certificates, _ := m.List(t.Context(), KindCertificate)
	orders, _ := m.List(t.Context(), KindOrder)
	if got := fmt.Sprint(certificates, orders); got != "[kept.example wanted.example] [lately.example waits.example wanted.example]" {
		t.Errorf("left: %s", got)
	}
}

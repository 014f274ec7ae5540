package issuer

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	mrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/acme"
)

// Let's Encrypt allows an account five failed validations of a host an hour, and answers what
// comes after with a limit (https://letsencrypt.org/docs/rate-limits/, as of 2026).
const allowedFailures = 5

// A host that always fails never fails oftener than authorities allow: not in one process, not with
// restarts and changes of who orders at the worst moments, and not where its Ingress comes and goes.
func TestFailuresAreFewerThanAuthoritiesAllow(t *testing.T) {
	second, minute := time.Second, time.Minute
	for _, tt := range []struct {
		name string
		life func(r *mrand.Rand) time.Duration // how long a process orders
		away func(r *mrand.Rand) time.Duration // how long of that the host is not wanted at first
		ops  int64                             // it is killed within so many of what it does with Store and authority; 0: it ends
	}{
		{"one process", func(*mrand.Rand) time.Duration { return 48 * time.Hour }, nil, 0},
		{"restarts every ten seconds", func(*mrand.Rand) time.Duration { return 10 * second }, nil, 0},
		{"restarts every minute", func(*mrand.Rand) time.Duration { return minute }, nil, 0},
		{"restarts at any time", func(r *mrand.Rand) time.Duration { return time.Duration(r.Int64N(int64(20 * minute))) }, nil, 0},
		{"quick restarts", func(r *mrand.Rand) time.Duration { return time.Duration(r.Int64N(int64(5 * second))) }, nil, 0},
		{"kills", func(r *mrand.Rand) time.Duration { return time.Duration(r.Int64N(int64(2 * minute))) }, nil, 60},
		{"the host is away at first", func(*mrand.Rand) time.Duration { return 2 * minute }, func(*mrand.Rand) time.Duration { return 10 * second }, 0},
		{"the host is away, kills", func(r *mrand.Rand) time.Duration { return time.Duration(r.Int64N(int64(5 * minute))) }, func(r *mrand.Rand) time.Duration { return time.Duration(r.Int64N(int64(minute))) }, 60},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
				if err != nil {
					t.Fatal(err)
				}
				a := &fakeAuthority{key: key, life: 90 * 24 * time.Hour, url: "https://ca.example", refuses: true, failed: make(map[string][]time.Time)}
				m, random := newMemory(), mrand.New(mrand.NewPCG(1, 2))
				began := time.Now()
				for time.Since(began) < 48*time.Hour {
					p := &mortal{Store: m.process(), authority: a}
					if p.left.Store(1 << 40); tt.ops > 0 {
						p.left.Store(random.Int64N(tt.ops))
					}
					i := &Issuer{Store: p, Authority: Authority{Directory: a.url + "/dir"}, Answers: m.answers}
					i.account.client = &acme.Client{Key: key, KID: "https://ca.example/account/1", DirectoryURL: i.Authority.Directory, HTTPClient: &http.Client{Transport: p}, RetryBackoff: retry}
					visible := time.Duration(random.Int64N(int64(3 * second)))
					i.Visible = func(ctx context.Context, _ Challenge) { wait(ctx, visible) }
					ctx, cancel := context.WithCancel(t.Context())
					var running sync.WaitGroup
					running.Go(func() { i.Run(ctx) })
					if tt.away != nil {
						i.Want([]Host{{Name: "other.example"}})
						wait(ctx, tt.away(random))
					}
					i.Want([]Host{{Name: "other.example"}, {Name: "a.example"}})
					wait(ctx, tt.life(random))
					cancel()
					running.Wait()
				}
				for _, host := range []string{"a.example", "other.example"} {
					failed := a.failed[host]
					for n := range failed {
						if n >= allowedFailures && failed[n].Sub(failed[n-allowedFailures]) < time.Hour {
							t.Errorf("%s fails %d times within %v, after %v", host, allowedFailures+1, failed[n].Sub(failed[n-allowedFailures]), failed[n].Sub(began))
							break
						}
					}
					if len(failed) < 4 || len(failed) > 20 {
						t.Errorf("%s was tried %d times in two days", host, len(failed))
					}
				}
			})
		})
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// mortal is the Store and the transport of a process that is killed: after so many requests nothing
// that it asks for is done.
type mortal struct {
	Store
	authority *fakeAuthority
	left      atomic.Int64
}

var errDead = errors.New("the process has been killed")

func (m *mortal) dead() bool { return m.left.Add(-1) < 0 }

func (m *mortal) Get(ctx context.Context, kind, name string) (map[string][]byte, error) {
	if m.dead() {
		return nil, errDead
	}
	return m.Store.Get(ctx, kind, name)
}

func (m *mortal) Put(ctx context.Context, kind, name string, record map[string][]byte) error {
	if m.dead() {
		return errDead
	}
	return m.Store.Put(ctx, kind, name, record)
}

func (m *mortal) Delete(ctx context.Context, kind, name string) error {
	if m.dead() {
		return errDead
	}
	return m.Store.Delete(ctx, kind, name)
}

// RoundTrip asks the authority, which is in the same process: no time passes.
func (m *mortal) RoundTrip(r *http.Request) (*http.Response, error) {
	if m.dead() {
		return nil, errDead
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	m.authority.serve(w, r)
	return w.Result(), nil
}

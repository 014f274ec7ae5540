package cluster

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestOutage stops the API server under load for a minute, or less with -short. Nothing of
// what is served depends on it.
func TestOutage(t *testing.T) {
	t.Parallel()
	away := time.Minute
	if testing.Short() {
		away = 10 * time.Second
	}
	c := Start(t, Options{})
	c.Apply(t, ourClass+site("default", "web")+slice("default", "web", c.Backend(t, "web")))
	f := c.Serve(t, InstanceOptions{Args: []string{"--publish-status-address", "192.0.2.10"}})
	f.WaitReady(t)
	Eventually(t, soon, "web.example is served", func() bool { return f.Get("web.example/").Status == http.StatusOK })
	table := f.Admin("/debug/table").Body

	load := startLoad(t, f, "web.example/")
	c.StopAPIServer()
	stopped := time.Now()
	unready := 0
	for time.Since(stopped) < away {
		if !f.Ready() {
			unready++
		}
		<-time.After(100 * time.Millisecond)
	}
	during := load.count()
	c.StartAPIServer(t)
	back := time.Now()
	c.Apply(t, site("default", "after"))
	Eventually(t, soon, "a change after the outage is live", func() bool { return f.Get("after.example/").Status == http.StatusServiceUnavailable })
	t.Logf("%d requests in %v without an API server; a change was live %v after it was back", during, away, time.Since(back).Round(10*time.Millisecond))
	load.stop(t)
	if during == 0 {
		t.Error("no requests were made meanwhile")
	}
	if unready > 0 {
		t.Errorf("not ready %d times", unready)
	}
	if got := f.Admin("/debug/table").Body; !strings.Contains(got, "web.example") || got == table {
		t.Errorf("table after the outage:\n%s", got)
	}
	// The leader lost its Lease meanwhile; it has to write again.
	Eventually(t, time.Minute, "the new Ingress has an address", func() bool { return published(t, c, "default", "after") == "192.0.2.10" })
}

// TestStartWithoutAPIServer: not ready, alive, and ready when the API server comes.
func TestStartWithoutAPIServer(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Stopped: true})
	f := c.Serve(t, InstanceOptions{})
	begin := time.Now()
	for time.Since(begin) < 7*time.Second { // longer than the longest wait between two tries
		if f.Ready() {
			t.Fatal("ready without an API server")
		}
		if a := f.Admin("/livez"); a.Status != http.StatusOK {
			t.Fatalf("/livez: %+v, want 200", a)
		}
		if a := f.Get("web.example/"); a.Err == nil && a.Status != http.StatusServiceUnavailable {
			t.Fatalf("a request before the first table: %+v, want 503", a)
		}
		if f.Ended() {
			t.Fatalf("ended: %s", f.Log())
		}
		<-time.After(200 * time.Millisecond)
	}
	c.StartAPIServer(t)
	f.WaitReady(t)
	c.Apply(t, ourClass+site("default", "web")+slice("default", "web", c.Backend(t, "web")))
	Eventually(t, soon, "web.example is served", func() bool { return f.Get("web.example/").Backend == "web" })
}

// TestTerminateWithoutAPIServer: the end does not wait for an API server that is away.
func TestTerminateWithoutAPIServer(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{})
	f := c.Serve(t, InstanceOptions{Args: []string{"--publish-status-address", "192.0.2.10"}})
	f.WaitReady(t)
	c.StopAPIServer()
	if err := f.Terminate(t, 20*time.Second); err != nil {
		t.Errorf("exit: %v", err)
	}
}

// load is some clients that ask for the same thing all the time.
type load struct {
	requests atomic.Int64
	failures sync.Map // text of the failure -> how often
	quit     chan struct{}
	clients  sync.WaitGroup
}

func startLoad(t *testing.T, f *Instance, url string) *load {
	l := &load{quit: make(chan struct{})}
	for range 8 {
		l.clients.Go(func() {
			pace := time.NewTicker(5 * time.Millisecond) // the cores are shared with an API server
			defer pace.Stop()
			for {
				select {
				case <-l.quit:
					return
				case <-pace.C:
				}
				a := f.Get(url)
				l.requests.Add(1)
				if a.Err != nil || a.Status != http.StatusOK {
					l.failures.Store(a, true)
				}
			}
		})
	}
	t.Cleanup(func() { l.end() })
	return l
}

func (l *load) count() int64 { return l.requests.Load() }

func (l *load) end() {
	select {
	case <-l.quit:
	default:
		close(l.quit)
	}
	l.clients.Wait()
}

// stop ends the load. The test fails when a request did.
func (l *load) stop(t *testing.T) {
	t.Helper()
	l.end()
	l.failures.Range(func(failure, _ any) bool {
		t.Errorf("failed request: %+v", failure)
		return true
	})
}

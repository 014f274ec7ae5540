package e2e_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/e2e/site"
)

// At SIGTERM readiness ends first; new connections are still served for --shutdown-delay,
// each asked to go elsewhere afterwards; a request that is under way is finished, however
// long after that; then the process ends well.
func TestShutdownLosesNothing(t *testing.T) {
	at, err := site.Start(site.Options{Binary: binary, Dir: t.TempDir(), Flags: []string{"--shutdown-delay=3s"}, Files: map[string][]byte{
		"ingress.yaml": []byte(ingress("live", "drain.example", "web")),
		"secret.yaml":  []byte(certificate),
		"web.yaml":     []byte(service("web", "web-1")),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := at.Stop(); err != nil {
			t.Error(err)
		}
	})

	// A request that outlives the delay, begun before.
	type outcome struct {
		code int
		err  error
	}
	slow := make(chan outcome, 1)
	began := make(chan struct{})
	go func() {
		req, err := http.NewRequest(http.MethodGet, "http://drain.example/", &onRead{began: began})
		if err != nil {
			slow <- outcome{err: err}
			return
		}
		req.ContentLength = 1
		req.Header.Set("Echo-Wait", "4s")
		resp, err := newProbe(at).client.Do(req)
		if err != nil {
			slow <- outcome{err: err}
			return
		}
		_ = resp.Body.Close()
		slow <- outcome{code: resp.StatusCode}
	}()
	<-began

	if err := at.Terminate(); err != nil {
		t.Fatal(err)
	}
	waitUnready(t, at)

	fresh := newProbe(at)
	resp, err := fresh.client.Get("http://drain.example/")
	if err != nil {
		t.Fatalf("a new connection within the delay: %v", err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK || !resp.Close {
		t.Errorf("a new connection within the delay: got %d, Connection: close %t; want 200 and true", resp.StatusCode, resp.Close)
	}
	if got := <-slow; got.err != nil || got.code != http.StatusOK {
		t.Errorf("the request under way: got %d, %v; want 200", got.code, got.err)
	}
	select {
	case <-at.Done():
	case <-time.After(20 * time.Second):
		t.Error("it did not end once all was done")
	}
}

// waitUnready waits until the admin port says that the process is not ready. It answers as
// long as requests are served.
func waitUnready(t *testing.T, at *site.Site) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		code, _, err := at.Admin("/readyz")
		if err == nil && code == http.StatusServiceUnavailable {
			return
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("/readyz after SIGTERM: got %d, %v; want 503", code, err)
		}
		<-time.After(time.Millisecond)
	}
}

// onRead is a body of one byte that tells when it is read: the request is being sent then.
type onRead struct {
	began chan struct{}
	read  bool
}

func (b *onRead) Read(p []byte) (int, error) {
	if b.read {
		return 0, io.EOF
	}
	b.read = true
	close(b.began)
	p[0] = 'x'
	return 1, nil
}

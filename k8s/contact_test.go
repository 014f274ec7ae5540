package k8s

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

func TestContact(t *testing.T) {
	more, closed := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-more
		_, _ = w.Write([]byte("x"))
		_ = http.NewResponseController(w).Flush()
		<-closed
	}))
	defer server.Close()
	defer close(closed)

	var c Contact
	if !c.Last().IsZero() {
		t.Errorf("heard at %v before anything was sent", c.Last())
	}
	client := &http.Client{Transport: c.Wrap(&http.Transport{DisableKeepAlives: true})}
	begin := time.Now()
	resp, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	head := c.Last()
	if head.Before(begin.Add(-time.Millisecond)) {
		t.Errorf("last heard at %v, want the response after %v", head, begin)
	}
	close(more)
	if _, err := resp.Body.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if !c.Last().After(head) {
		t.Error("what comes on a watch does not count")
	}

	last := c.Last()
	if _, err := client.Get("http://" + proxytest.Refused(t).String()); err == nil {
		t.Fatal("an answer of a server that is closed")
	}
	if c.Last() != last {
		t.Error("a refused connection counts as being heard")
	}
}

package proxy

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

// An auth-url that is behind the guard that asks it ends, and denies.
func TestAuthInACircleEnds(t *testing.T) {
	f := newFront(t, Config{}, nil)
	f.lead(t, webKey, &proxytest.Backend{})
	r := rule("", "/", webKey)
	r.Policies = policiesOf(t, map[string]string{"auth-url": "http://" + f.http() + "/verify"})
	f.serve(t, Config{Hosts: ByHost([]*Rule{r})})
	t.Cleanup(f.Proxy.policies.Transport.(*http.Transport).CloseIdleConnections)
	c := dialRaw(t, f.http())
	c.send(t, "GET / HTTP/1.1", "Host: a.example", "", "")
	if resp, _, err := c.receive(t, "GET"); err != nil || resp.StatusCode != 500 {
		t.Errorf("%v %v, want 500", resp, err)
	}
	f.exchange(t, policy.MaxHops)
	if n := len(f.recorded()); n > policy.MaxHops+1 {
		t.Errorf("%d requests of one", n)
	}
}

// A mirror-target that leads to what is mirrored ends.
func TestMirrorInACircleEnds(t *testing.T) {
	var n atomic.Int64
	f := newFront(t, Config{}, nil)
	f.lead(t, webKey, &proxytest.Backend{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { n.Add(1) })})
	r := rule("a.example", "/", webKey)
	r.Policies = policiesOf(t, map[string]string{"mirror-target": "http://" + f.http() + "$request_uri", "mirror-host": "a.example"})
	f.serve(t, Config{Hosts: ByHost([]*Rule{r})})
	t.Cleanup(f.Proxy.policies.Transport.(*http.Transport).CloseIdleConnections)
	c := dialRaw(t, f.http())
	c.send(t, "GET / HTTP/1.1", "Host: a.example", "", "")
	if resp, _, err := c.receive(t, "GET"); err != nil || resp.StatusCode != 200 {
		t.Errorf("%v %v, want 200", resp, err)
	}
	for end := time.Now().Add(patience); f.Proxy.policies.Mirrored().Dropped == 0 && time.Now().Before(end); {
		<-time.After(time.Millisecond)
	}
	if got := n.Load(); got == 0 || got > policy.MaxHops {
		t.Errorf("the backend got %d requests of one", got)
	}
}

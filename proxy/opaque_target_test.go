package proxy

import (
	"net/http"
	"testing"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
	"github.com/fairlead-ingress/fairlead/router"
)

// A target such as "x:guarded" parses as an opaque URL, which has no path: it was routed as "/"
// and forwarded as it came, past every rule. It must never reach a backend.
func TestOpaqueTargetReachesNoBackend(t *testing.T) {
	b := &proxytest.Backend{Handler: proxytest.Echo("web-1")}
	f := newFront(t, Config{Hosts: ByHost([]*Rule{
		rule("a.example", "/", webKey),
		{Host: "a.example", Path: "/guarded", PathType: router.Prefix, Answer: Answer{503, "policy-refused"}},
	})}, nil)
	f.lead(t, webKey, b)
	for _, target := range []string{
		"x:http://a.example/guarded/x", "http:guarded", "x:admin/../guarded", "http:///guarded", "ftp://a.example/guarded", "guarded", "*",
	} {
		c := dialRaw(t, f.http())
		c.send(t, "GET "+target+" HTTP/1.1", "Host: a.example", "", "")
		resp, _, err := c.receive(t, "GET")
		if err != nil || resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: got %v, %v, want 400", target, resp, err)
		}
	}
	if n := b.Requests(); n != 0 {
		t.Errorf("%d of them reached the backend", n)
	}
}

// Two instances that lead to each other must not send a request round for ever.
func TestCircleEnds(t *testing.T) {
	first := newFront(t, Config{Hosts: ByHost([]*Rule{rule("a.example", "/", webKey)})}, nil)
	second := newFront(t, Config{Hosts: ByHost([]*Rule{rule("a.example", "/", webKey)})}, nil)
	first.toFront(second)
	second.toFront(first)
	resp, body := do(t, client(t, nil), request(t, "GET", "http://"+first.http(), nil))
	if resp.StatusCode != http.StatusLoopDetected || resp.Header.Get(ReasonHeader) != "" {
		t.Errorf("got %d %q, want 508 passed on", resp.StatusCode, body)
	}
	if n := len(first.recorded()) + len(second.recorded()); n > policy.MaxHops+1 {
		t.Errorf("one request became %d", n)
	}
}

// What says that an answer is ours must be ours.
func TestReasonCannotBeForged(t *testing.T) {
	f := echoFront(t, nil)
	resp, _ := do(t, client(t, nil), request(t, "GET", "http://"+f.http()+"/?header=X-Fairlead-Reason:faked", nil))
	if got := resp.Header.Get(ReasonHeader); got != "" {
		t.Errorf("the backend's %s: %s reached the client", ReasonHeader, got)
	}
}

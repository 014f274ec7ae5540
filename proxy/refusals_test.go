package proxy

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/proxyproto"
)

// TestRefusalsAreLoggedByKind: the log has each kind once a minute. Kinds with names of the same
// length kept each other out of it.
func TestRefusalsAreLoggedByKind(t *testing.T) {
	var logged []string
	r := refusals{warn: func(reason string, _ net.Addr, _ error) { logged = append(logged, reason) }}
	want := []string{"proxy-header-untrusted", "proxy-header-timeout", "proxy-header-missing", "proxy-header-invalid", "client-hello-refused"}
	for range 2 {
		for _, err := range []error{errUntrusted, errNoTime, fmt.Errorf("x: %w", proxyproto.ErrNoHeader), errors.New("bad"), errLongHello} {
			r.tell("http", nil, err)
		}
	}
	if !slices.Equal(logged, want) {
		t.Errorf("logged %q, want %q", logged, want)
	}
}

// TestResetIsNoHeader: a health check that ends with a reset has sent no bad header.
func TestResetIsNoHeader(t *testing.T) {
	var seen refused
	f := echoFront(t, func(f *front) { f.server.Refused = seen.note })
	f.serve(t, behindBalancer("127.0.0.0/8"))
	reset := func(sent string) {
		c, err := net.Dial("tcp", f.server.Addresses()["http"].String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(sent)); err != nil {
			t.Fatal(err)
		}
		<-time.After(50 * time.Millisecond) // for the server to read what was sent, if it can
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
	reset("")
	eventually(t, "one that was cut off is told", func() bool {
		reset("PROXY TCP4 192.0.2.7 ")
		return seen.last() != ""
	})
	seen.mu.Lock()
	defer seen.mu.Unlock()
	if want := []string{"http proxy-header-invalid"}; !slices.Equal(slices.Compact(seen.all), want) {
		t.Errorf("told %q, want %q", seen.all, want)
	}
}

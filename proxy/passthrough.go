package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// Passthrough hands the TLS connections of a host to a backend as they are. Nothing of a rule's
// policies is for them but the lists of addresses.
type Passthrough struct {
	// Rule is whose backend it is, and whom the connections are counted for.
	Rule *Rule
	// Refuse closes the connections: something that guards access to the host cannot be asked of
	// them, or there is no backend for them.
	Refuse bool
}

// passedHost is a Passthrough of a table.
type passedHost struct {
	*Passthrough
	pool   *upstream.Pool // of the Rule's Backend; nil: there is none
	record Recorder
}

// passes returns where the connections for a canonical server name are handed to, and the host;
// nil for nowhere.
func (h *hosting) passes(name string) (string, *passedHost) {
	if h.passed == nil || name == "" {
		return "", nil
	}
	return name, h.passed[h.routes.HostOf(name)]
}

// passThrough copies between a client, of whom read was read, and an endpoint until both are done;
// through is called when they are a tunnel, if they become one. It is recorded as an exchange: a tunnel without a request.
func (p *Proxy) passThrough(client net.Conn, read []byte, host string, to *passedHost, through func()) {
	p.inFlight.Add(1)
	defer p.inFlight.Add(-1)
	addr := addrOf(client.RemoteAddr())
	x := &Exchange{
		Rule: to.Rule, Start: time.Now(), Scheme: "https", Proto: "TLS", Host: host, Peer: addr, ClientIP: addr,
		Backend: to.Rule.Backend, Upgraded: true,
	}
	defer func() {
		x.Duration = time.Since(x.Start)
		if to.record != nil {
			to.record(x)
		}
	}()
	defer client.Close()
	if a := to.denies(x); a != (Answer{}) {
		x.Status, x.Reason = a.Status, a.Reason
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), or(to.timeout(), defaultHeadTimeout))
	backend, end, err := to.pool.Connect(ctx, upstream.Pick{}, &x.Attempts)
	cancel()
	if err != nil {
		x.Reason, x.Status = upstream.Reason(err)
		x.Err = err
		return
	}
	x.Status, x.TTFB = http.StatusOK, time.Since(x.Start)
	ends := &tunnelEnds{client: client, backend: backend}
	defer ends.close()
	defer p.tunnels.add(ends)()
	through()
	p.join(ends, x, plain(client), backend, read)
	end(x.BytesOut, nil)
}

// join copies both ways, and to the backend what was read first.
func (p *Proxy) join(ends *tunnelEnds, x *Exchange, client, backend net.Conn, read []byte) {
	up, down := make(chan copied, 1), make(chan copied, 1)
	go func() {
		if n, err := backend.Write(read); err != nil {
			_ = backend.Close()
			up <- copied{int64(n), err}
			return
		}
		sent := oneWay(backend, client)
		sent.bytes += int64(len(read))
		up <- sent
	}()
	go func() { down <- oneWay(client, backend) }()
	sent, received := p.tunnels.await(ends, up, down)
	x.BytesIn, x.BytesOut = sent.bytes, received.bytes
	for _, err := range []error{sent.err, received.err} {
		if err != nil && !usualEnd(err) {
			x.Err = fmt.Errorf("passed through: %w", err)
		}
	}
}

// usualEnd says that a connection has ended as those of TLS do: whoever closes one has often not
// read all that came, which the other side sees as a reset.
func usualEnd(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// plain returns the TCP connection that c is, so that the kernel can move what goes through it.
func plain(c net.Conn) net.Conn {
	if own, ok := c.(*clientConn); ok {
		return own.TCPConn
	}
	return c
}

// denies returns why a client is not let through, as the answer that a request would get; the zero
// Answer if it is.
func (h *passedHost) denies(x *Exchange) Answer {
	set := h.Rule.Policies
	switch {
	case h.Refuse || h.pool == nil:
		return Answer{http.StatusServiceUnavailable, "policy-refused"}
	case !policy.Admits(set, x.ClientIP):
		return Answer{http.StatusForbidden, "address-denied"}
	}
	return Answer{}
}

// timeout is that of the rule for connections; zero for none of its own.
func (h *passedHost) timeout() time.Duration {
	if h.Rule.Policies == nil {
		return 0
	}
	return h.Rule.Policies.Timeouts.Connect
}

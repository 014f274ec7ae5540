package proxy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// tunnel answers an upgrade: it takes the connection over from the server and copies bytes
// both ways until both sides are done. Nothing that the client sent after its request head
// reaches the backend before the backend has agreed.
func (p *Proxy) tunnel(w http.ResponseWriter, r *http.Request, resp *http.Response, asked bool) {
	x := exchangeOf(w)
	backend, ok := resp.Body.(io.ReadWriteCloser)
	if !asked || !ok || !strings.EqualFold(resp.Header.Get("Upgrade"), "websocket") {
		fail(w, r, http.StatusBadGateway, "unexpected-upgrade",
			fmt.Errorf("upstream switched to %q, asked for was websocket: %t", resp.Header.Get("Upgrade"), asked))
		return
	}
	fields := make(http.Header, len(resp.Header))
	if !copyResponse(fields, resp.Header) {
		fail(w, r, http.StatusBadGateway, "bad-response", errors.New("field Connection of the 101 response"))
		return
	}
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		fail(w, r, http.StatusInternalServerError, "upgrade-failed", err)
		return
	}
	ends := &tunnelEnds{client: client, backend: backend}
	defer ends.close()
	x.Status, x.Upgraded, x.TTFB = http.StatusSwitchingProtocols, true, time.Since(x.Start)
	done := p.tunnels.add(ends)
	defer done()

	head := bufio.NewWriter(client)
	fmt.Fprint(head, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n")
	_ = fields.Write(head) // errors stay in the writer
	fmt.Fprint(head, "\r\n")
	if err := head.Flush(); err != nil {
		x.Reason, x.Err, x.ClientAborted = "client-aborted", err, true
		return
	}

	up, down := make(chan copied, 1), make(chan copied, 1)
	go func() { up <- oneWay(backend, buffered) }()
	go func() { down <- oneWay(client, backend) }()
	sent, received := p.tunnels.await(ends, up, down)
	x.BytesIn, x.BytesOut = sent.bytes, received.bytes
}

// await returns what went either way, when both have ended. The first to end closes the other after
// a while.
func (t *tunnels) await(ends *tunnelEnds, up, down <-chan copied) (sent, received copied) {
	select {
	case sent = <-up:
		defer t.closeAfter(ends, sent.err)()
		received = <-down
	case received = <-down:
		defer t.closeAfter(ends, received.err)()
		sent = <-up
	}
	return sent, received
}

type copied struct {
	bytes int64
	err   error
}

// oneWay copies until src ends, then tells dst that nothing more comes. Where dst cannot be
// closed for writing alone, or the copying broke, it is closed.
func oneWay(dst io.WriteCloser, src io.Reader) copied {
	n, err := io.Copy(dst, src)
	if half, ok := dst.(interface{ CloseWrite() error }); ok && err == nil {
		if half.CloseWrite() == nil {
			return copied{n, nil}
		}
	}
	_ = dst.Close()
	return copied{n, err}
}

// tunnelEnds are the two connections of a tunnel. Closing the backend's completes the record
// of the attempt, so whoever closes does it under mu, and the tunnel itself last.
type tunnelEnds struct {
	mu      sync.Mutex
	client  net.Conn
	backend io.Closer
}

func (e *tunnelEnds) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	_ = e.client.Close()
	_ = e.backend.Close()
}

// tunnels are the connections that were taken over from the server and that it does not know
// of when it shuts down. The zero value is empty.
type tunnels struct {
	openSet[*tunnelEnds]
	linger time.Duration // tunnelLinger if zero; tests are in a hurry
}

// tunnelLinger is how long one side of a tunnel may go on after the other has ended: long
// enough for a closing handshake, not for a peer that has forgotten the connection.
const tunnelLinger = 10 * time.Second

// closeAfter closes both sides of a tunnel, one of which has ended: at once if it broke, else
// after a while. The function it returns calls that off.
func (t *tunnels) closeAfter(e *tunnelEnds, err error) (stop func()) {
	if err != nil {
		e.close()
		return func() {}
	}
	timer := time.AfterFunc(or(t.linger, tunnelLinger), e.close)
	return func() { timer.Stop() }
}

// Tunnels is the number of open tunnels: WebSocket connections, and those that are passed through.
func (p *Proxy) Tunnels() int { return p.tunnels.len() }

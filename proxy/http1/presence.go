package http1

import (
	"context"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// presence is the Context of a request: it ends when the client is gone, or the handler has
// returned. It is made for being asked with Err, which costs next to nothing; a channel
// is made only for those who call Done. One presence serves many requests, until
// somebody asks for more than Err: what was given out then belongs to that request alone.
type presence struct {
	c     *conn
	ended atomic.Bool // cancelled, for whatever reason
	used  atomic.Bool // Done or AfterFunc was called

	mu    sync.Mutex
	done  chan struct{} // nil until asked for
	after map[*func()]struct{}
}

// Deadline is none.
func (p *presence) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done returns a channel that is closed when the client is gone or the handler has returned.
func (p *presence) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used.Store(true)
	if p.done == nil {
		p.done = make(chan struct{})
		if p.ended.Load() {
			close(p.done)
		}
	}
	return p.done
}

// Err is context.Canceled once Done is closed, or would be.
func (p *presence) Err() error {
	if p.ended.Load() {
		return context.Canceled
	}
	return nil
}

// Value knows http.LocalAddrContextKey.
func (p *presence) Value(key any) any {
	if key == http.LocalAddrContextKey {
		return p.c.nc.LocalAddr()
	}
	return nil
}

// Peer is the IP address of the client's end of the connection, which is in Request.RemoteAddr too; the
// zero Addr if it has none. Others need not read it anew for each request.
func (p *presence) Peer() netip.Addr { return p.c.peer }

// AfterFunc has f called on a goroutine of its own when the context ends. Package context uses
// it, so that a context made from this one needs no goroutine to wait for it.
func (p *presence) AfterFunc(f func()) (stop func() bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used.Store(true)
	if p.ended.Load() {
		go f()
		return func() bool { return false }
	}
	if p.after == nil {
		p.after = make(map[*func()]struct{})
	}
	key := &f
	p.after[key] = struct{}{}
	return func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		_, waiting := p.after[key]
		delete(p.after, key)
		return waiting
	}
}

// cancel ends the context. It does not wait.
func (p *presence) cancel() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended.Swap(true) {
		return
	}
	if p.done != nil {
		close(p.done)
	}
	for f := range p.after {
		go (*f)()
	}
	p.after = nil
}

// end is called when the handler has returned. It reports whether p may serve another request;
// else it has cancelled it.
func (p *presence) end() (reusable bool) {
	if p.used.Load() {
		p.cancel()
		return false
	}
	if p.ended.Load() {
		p.ended.Store(false)
	}
	return true
}

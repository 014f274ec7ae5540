package ca

import (
	"io"
	"net"
	"sync"
)

// Relay takes the connections of an authority that validates, and passes them on to proxies in
// turn: the load balancer in front of replicas.
type Relay struct {
	listener net.Listener
	wg       sync.WaitGroup

	mu    sync.Mutex
	to    []string
	next  int
	count int
	held  chan struct{} // closed when connections are no longer held up; nil: they are not
	conns map[net.Conn]struct{}
}

func newRelay(address string) (*Relay, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		return nil, err
	}
	r := &Relay{listener: l, conns: make(map[net.Conn]struct{})}
	r.wg.Go(r.accept)
	return r, nil
}

func (r *Relay) port() int { return r.listener.Addr().(*net.TCPAddr).Port }

// Lead says where connections go from now on; to nowhere: they are closed.
func (r *Relay) Lead(to ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.to = to
}

// Hold holds up connections until release is called.
func (r *Relay) Hold() (release func()) {
	held := make(chan struct{})
	r.mu.Lock()
	r.held = held
	r.mu.Unlock()
	return sync.OnceFunc(func() {
		r.mu.Lock()
		r.held = nil
		r.mu.Unlock()
		close(held)
	})
}

// Connections is how many there were.
func (r *Relay) Connections() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count
}

func (r *Relay) accept() {
	for {
		c, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.wg.Go(func() { r.pass(c) })
	}
}

func (r *Relay) pass(c net.Conn) {
	defer r.keep(c)()
	r.mu.Lock()
	r.count++
	held := r.held
	r.mu.Unlock()
	if held != nil {
		<-held
	}
	r.mu.Lock()
	to := ""
	if len(r.to) > 0 {
		to = r.to[r.next%len(r.to)]
		r.next++
	}
	r.mu.Unlock()
	if to == "" {
		return
	}
	out, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer r.keep(out)()
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = io.Copy(out, c) // either side may end it
		_ = out.(*net.TCPConn).CloseWrite()
	})
	_, _ = io.Copy(c, out)
	_ = c.(*net.TCPConn).CloseWrite()
	wg.Wait()
}

// keep has c closed with the Relay, and by the function that it returns.
func (r *Relay) keep(c net.Conn) func() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns[c] = struct{}{}
	return func() {
		_ = c.Close()
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.conns, c)
	}
}

func (r *Relay) close() error {
	err := r.listener.Close()
	r.mu.Lock()
	if r.held != nil {
		close(r.held)
		r.held = nil
	}
	for c := range r.conns {
		_ = c.Close()
	}
	r.mu.Unlock()
	r.wg.Wait()
	return err
}

package upstream

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

const (
	nameTTL        = 5 * time.Second // of addresses
	nameFailureTTL = time.Second     // of a failed lookup
	namesKept      = 128             // from this many on, those out of date are dropped
)

// names remembers the addresses of DNS names for a short time, and asks for each name once at
// a time, however many connections wait for it. The resolvers of the standard library do
// not tell an answer's TTL.
type names struct {
	ctx      context.Context // ends all lookups
	resolver *net.Resolver
	timeout  time.Duration // of a lookup
	now      func() time.Time

	mu     sync.Mutex
	byName map[string]*name
}

// name is one lookup, under way or done.
type name struct {
	done chan struct{} // closed when the fields below are set
	// The following are guarded by names.mu.
	addresses []netip.Addr
	err       error
	expires   time.Time
	turn      int // how often the addresses were handed out
}

// lookup returns the addresses of a name, at least one if err is nil. Each call starts with the
// next of them.
func (ns *names) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	ns.mu.Lock()
	n := ns.byName[host]
	if n == nil || n.isDone() && !ns.now().Before(n.expires) {
		ns.sweep()
		n = &name{done: make(chan struct{})}
		if ns.byName == nil {
			ns.byName = make(map[string]*name)
		}
		ns.byName[host] = n
		go ns.resolve(n, host)
	}
	ns.mu.Unlock()

	select {
	case <-n.done:
	case <-ctx.Done():
		return nil, fmt.Errorf("lookup %s: %w", host, ctx.Err())
	}
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if n.err != nil {
		return nil, n.err
	}
	i := n.turn % len(n.addresses)
	n.turn++
	return append(append(make([]netip.Addr, 0, len(n.addresses)), n.addresses[i:]...), n.addresses[:i]...), nil
}

// resolve does the lookup of n. It has a goroutine to itself, so the connection that
// wanted the name first may be given up without failing those that wait too.
func (ns *names) resolve(n *name, host string) {
	ctx, cancel := context.WithTimeout(ns.ctx, ns.timeout)
	defer cancel()
	// A dot at the end, or the search list of /etc/resolv.conf would be tried and an external
	// name might become that of a Service.
	addresses, err := ns.resolver.LookupNetIP(ctx, "ip", strings.TrimSuffix(host, ".")+".")
	if err == nil && len(addresses) == 0 {
		err = fmt.Errorf("lookup %s: no addresses", host)
	}
	ns.mu.Lock()
	defer ns.mu.Unlock()
	n.addresses, n.err = addresses, err
	n.expires = ns.now().Add(nameTTL)
	if err != nil {
		n.expires = ns.now().Add(nameFailureTTL)
	}
	close(n.done)
}

// sweep drops what is out of date, once there is much. ns.mu is held.
func (ns *names) sweep() {
	if len(ns.byName) < namesKept {
		return
	}
	now := ns.now()
	for host, n := range ns.byName {
		if n.isDone() && !now.Before(n.expires) {
			delete(ns.byName, host)
		}
	}
}

func (n *name) isDone() bool {
	select {
	case <-n.done:
		return true
	default:
		return false
	}
}

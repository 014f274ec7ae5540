//go:build unix

package proxytest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// Blackhole is an address at which connections are neither accepted nor refused, as at that of
// a machine which is gone: a listener whose queue is full.
type Blackhole struct {
	listener *net.TCPListener
	fill     []net.Conn
}

// NewBlackhole returns a Blackhole on loopback.
func NewBlackhole() (*Blackhole, error) {
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, fmt.Errorf("blackhole: %w", err)
	}
	b := &Blackhole{listener: l}
	raw, err := l.SyscallConn()
	if err == nil {
		// A second listen changes the length of the queue.
		err = errors.Join(raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), 0) }), err)
	}
	for err == nil {
		var c net.Conn
		c, err = net.DialTimeout("tcp", l.Addr().String(), 200*time.Millisecond)
		if err == nil {
			b.fill = append(b.fill, c)
		}
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return b, nil
	}
	b.Close()
	return nil, fmt.Errorf("blackhole: %w", err)
}

// Addr returns the address.
func (b *Blackhole) Addr() netip.AddrPort { return b.listener.Addr().(*net.TCPAddr).AddrPort() }

// Close gives the address up. What still waits for a connection is refused.
func (b *Blackhole) Close() {
	for _, c := range b.fill {
		c.Close()
	}
	b.listener.Close()
}

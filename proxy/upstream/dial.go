package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/http1"
)

// dialer makes connections to endpoints. Its errors are *connectError.
type dialer struct {
	timeout time.Duration
	guard   guard
	names   *names
}

// connectError is why there is no connection.
type connectError struct {
	reason string // a code of Error
	err    error
}

func (e *connectError) Error() string { return e.err.Error() }
func (e *connectError) Unwrap() error { return e.err }

// limit ends ctx when a connection is too long in coming.
func (d *dialer) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	timeout := d.timeout
	if t := http1.DialTimeout(ctx); t > 0 {
		timeout = t
	}
	return context.WithTimeout(ctx, timeout)
}

// dial connects to e's address.
func (d *dialer) dial(ctx context.Context, e *Endpoint) (*net.TCPConn, error) {
	ctx, cancel := d.limit(ctx)
	defer cancel()
	return d.connect(ctx, e)
}

// dialTLS connects to e's address and does the TLS handshake. The connection is counted.
func (d *dialer) dialTLS(ctx context.Context, e *Endpoint, config *tls.Config) (*tls.Conn, error) {
	ctx, cancel := d.limit(ctx)
	defer cancel()
	tcp, err := d.connect(ctx, e)
	if err != nil {
		return nil, err
	}
	c := counted(tcp, &e.conns)
	t := tls.Client(c, config)
	if err := t.HandshakeContext(ctx); err != nil {
		c.Close()
		return nil, &connectError{TLSFailed, fmt.Errorf("TLS handshake: %w", err)}
	}
	return t, nil
}

// connect tries the addresses of e in turn until one accepts.
func (d *dialer) connect(ctx context.Context, e *Endpoint) (*net.TCPConn, error) {
	addresses := []netip.Addr{e.ip}
	if !e.ip.IsValid() {
		var err error
		if addresses, err = d.names.lookup(ctx, e.address.Host); err != nil {
			return nil, &connectError{DNSFailed, err}
		}
	}
	deadline, _ := ctx.Deadline()
	var failed *connectError
	for i, ip := range addresses {
		// Each of the addresses that are left has an equal part of the time that is left.
		part := time.Until(deadline) / time.Duration(len(addresses)-i)
		c, err := d.connectTo(ctx, e, netip.AddrPortFrom(ip, e.address.Port), part)
		if err == nil {
			return c, nil
		}
		// A refusal of the guard says less than an attempt that was made.
		if failed == nil || err.reason != AddressDenied {
			failed = err
		}
	}
	return nil, failed
}

func (d *dialer) connectTo(ctx context.Context, e *Endpoint, a netip.AddrPort, timeout time.Duration) (*net.TCPConn, *connectError) {
	literal := e.ip.IsValid()
	nd := net.Dialer{
		Timeout: timeout,
		Control: func(network, address string, _ syscall.RawConn) error {
			final, err := netip.ParseAddrPort(address)
			if err != nil || network != "tcp4" && network != "tcp6" {
				return &deniedError{a, fmt.Sprintf("want a TCP address, got %s %s", network, address)}
			}
			return d.guard.check(final, literal)
		},
	}
	c, err := nd.DialContext(ctx, "tcp", a.String())
	if err != nil {
		return nil, &connectError{connectReason(err), err}
	}
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		c.Close()
		return nil, &connectError{ConnectFailed, fmt.Errorf("want a TCP connection to %s, got %T", a, c)}
	}
	local, _ := tcp.LocalAddr().(*net.TCPAddr)
	remote, _ := tcp.RemoteAddr().(*net.TCPAddr)
	if err := d.guard.checkConnected(local.AddrPort(), remote.AddrPort()); err != nil {
		tcp.Close()
		return nil, &connectError{AddressDenied, err}
	}
	return tcp, nil
}

func connectReason(err error) string {
	var (
		denied  *deniedError
		timeout net.Error
	)
	switch {
	case errors.As(err, &denied):
		return AddressDenied
	case errors.Is(err, syscall.ECONNREFUSED):
		return ConnectRefused
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return ConnectTimeout
	}
	return ConnectFailed
}

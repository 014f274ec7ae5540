package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
)

// DialOutside connects to address, which a user wrote and which is no endpoint of a Pool, such
// as that of a service that decides about requests. The same addresses are refused as for
// endpoints.
func (r *Registry) DialOutside(ctx context.Context, _, address string) (net.Conn, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("address %s: want a port number, got %q", address, service)
	}
	ctx, cancel := context.WithTimeout(ctx, r.dialer.timeout)
	defer cancel()
	ip, err := netip.ParseAddr(host)
	literal := err == nil
	addresses := []netip.Addr{ip}
	if !literal {
		if addresses, err = r.dialer.names.lookup(ctx, host); err != nil {
			return nil, err
		}
	}
	var errs []error
	for _, ip := range addresses {
		c, err := r.dialer.dialOutside(ctx, netip.AddrPortFrom(ip, uint16(port)), literal)
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func (d *dialer) dialOutside(ctx context.Context, a netip.AddrPort, literal bool) (net.Conn, error) {
	nd := net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		final, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		return d.guard.check(final, literal)
	}}
	c, err := nd.DialContext(ctx, "tcp", a.String())
	if err != nil {
		return nil, err
	}
	local, _ := c.LocalAddr().(*net.TCPAddr)
	remote, _ := c.RemoteAddr().(*net.TCPAddr)
	if err := d.guard.checkConnected(local.AddrPort(), remote.AddrPort()); err != nil {
		_ = c.Close() // it was never used
		return nil, err
	}
	return c, nil
}

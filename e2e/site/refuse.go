package site

import (
	"fmt"
	"net/netip"
	"syscall"
)

// refusing is an address that refuses connections for as long as it is held: a socket that
// is bound, so that nobody else gets its port, and does not listen.
type refusing struct {
	fd int
	at netip.AddrPort
}

func newRefusing(address netip.Addr) (*refusing, error) {
	syscall.ForkLock.RLock()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	r := &refusing{fd: fd}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: address.As4()}); err != nil {
		r.close()
		return nil, fmt.Errorf("bind: %w", err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		r.close()
		return nil, fmt.Errorf("getsockname: %w", err)
	}
	inet, ok := name.(*syscall.SockaddrInet4)
	if !ok {
		r.close()
		return nil, fmt.Errorf("getsockname: want an IPv4 address, got %T", name)
	}
	r.at = netip.AddrPortFrom(netip.AddrFrom4(inet.Addr), uint16(inet.Port))
	return r, nil
}

func (r *refusing) close() { _ = syscall.Close(r.fd) }

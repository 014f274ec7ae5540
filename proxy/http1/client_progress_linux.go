package http1

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// progress tells whether something comes from a connection that is read by the kernel alone.
// The zero value is ready.
type progress struct{ received uint64 }

// moved reports whether anything has come since the last call, or lies there to be taken: then
// it is not the other side that we wait for.
func (p *progress) moved(raw syscall.RawConn) bool {
	moved := false
	_ = raw.Control(func(fd uintptr) {
		if n, err := unix.IoctlGetInt(int(fd), unix.SIOCINQ); err == nil && n > 0 {
			moved = true
			return
		}
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			moved = info.Bytes_received != p.received
			p.received = info.Bytes_received
		}
	})
	return moved
}

package http1

import "golang.org/x/sys/unix"

// stall tells whether a client takes what is written to it. The zero value is ready.
type stall struct{ acked uint64 }

// moved reports whether the client has acknowledged anything since the last call, or there is
// nothing for it to acknowledge: then it is not the client that we wait for.
func (s *stall) moved(c socket) bool {
	if c == nil {
		return false
	}
	moved := false
	_ = c.Control(func(fd uintptr) {
		if pending, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ); err == nil && pending == 0 {
			moved = true
			return
		}
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			moved = info.Bytes_acked != s.acked
			s.acked = info.Bytes_acked
		}
	})
	return moved
}

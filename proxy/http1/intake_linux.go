package http1

import "golang.org/x/sys/unix"

// canUpload says that the kernel moves bodies and tells how they come.
const canUpload = true

// arrival is how many bytes have come from a client.
type arrival struct {
	received uint64 // in all
	queued   int    // of them, those that nobody has taken
}

// look returns the arrival at c; the zero value if it cannot be known.
func look(c socket) arrival {
	var a arrival
	_ = c.Control(func(fd uintptr) {
		if n, err := unix.IoctlGetInt(int(fd), unix.SIOCINQ); err == nil {
			a.queued = n
		}
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			a.received = info.Bytes_received
		}
	})
	return a
}

// broken reports whether no byte can be written to c any more: the other side has reset it, or
// we have closed it.
func broken(c socket) bool {
	is := false
	err := c.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		is = err != nil || info.State == unix.BPF_TCP_CLOSE
	})
	return err != nil || is
}

//go:build unix

package http1

import "golang.org/x/sys/unix"

// readSocket reads what a socket that does not block has.
func readSocket(fd int, b []byte) (int, error) {
	for {
		n, err := unix.Read(fd, b)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// hasInput reports whether a read of c would return at once: data, the end, or an error.
func hasInput(c socket) bool {
	var b [1]byte
	ready := true
	err := c.Control(func(fd uintptr) {
		_, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		ready = err != unix.EAGAIN && err != unix.EINTR
	})
	return ready || err != nil
}

// shutSocket ends both directions of c without waiting for those who use it.
func shutSocket(c socket) {
	_ = c.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RDWR) })
}

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

package http1

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// socket is the descriptor below a connection.
type socket = syscall.RawConn

// hangups learns from the kernel which clients have closed their side: an epoll instance
// beside that of the runtime, which is asked without waiting. Unlike a look at the next byte
// it sees the end behind bytes that nobody has read, and its cost does not depend on the number
// of connections. The kernel forgets a descriptor when it is closed. The zero value is ready;
// it is not safe for concurrent use.
type hangups struct {
	fd   int
	open bool
}

// watch has poll report id and uses once, when the other side of c has closed or reset it. It
// reports false when that is not possible: for want of a descriptor, for instance.
func (h *hangups) watch(c socket, id, uses uint32) bool {
	if !h.open {
		fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			return false
		}
		h.fd, h.open = fd, true
	}
	event := unix.EpollEvent{Events: unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(id), Pad: int32(uses)}
	added := false
	err := c.Control(func(fd uintptr) {
		added = unix.EpollCtl(h.fd, unix.EPOLL_CTL_ADD, int(fd), &event) == nil
	})
	return err == nil && added
}

// poll calls f for each event there is.
func (h *hangups) poll(f func(id, uses uint32)) {
	if !h.open {
		return
	}
	var events [64]unix.EpollEvent
	for {
		n, err := unix.EpollWait(h.fd, events[:], 0)
		if err != nil {
			return // EINTR: the next tick asks again
		}
		for _, e := range events[:n] {
			f(uint32(e.Fd), uint32(e.Pad))
		}
		if n < len(events) {
			return
		}
	}
}

func (h *hangups) close() {
	if h.open {
		_ = unix.Close(h.fd)
		h.open = false
	}
}

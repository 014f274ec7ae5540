//go:build !linux

package http1

import "syscall"

// socket is the descriptor below a connection.
type socket = syscall.RawConn

// hangups knows nothing on this system: that a client is gone shows when something is written
// to it.
type hangups struct{}

func (*hangups) watch(socket, uint32, uint32) bool { return false }
func (*hangups) poll(func(id, uses uint32))        {}
func (*hangups) close()                            {}

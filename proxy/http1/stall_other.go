//go:build !linux

package http1

// stall tells whether a client takes what is written to it: not on this system.
type stall struct{}

func (*stall) moved(socket) bool { return false }

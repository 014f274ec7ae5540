package main

import (
	"fmt"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// shares are what the descriptors of the process are for.
type shares struct {
	clients int // connections that clients may have
	idle    int // connections to backends that are kept without a request
}

const (
	// leastReserve is for what is neither: ports, the API server, the admin port, files of bodies.
	leastReserve = 64
	leastShare   = 16
	// mostDescriptors bounds what follows from a limit that is none.
	mostDescriptors = 1 << 20
	// mostIdle is enough for any number of clients.
	mostIdle = 4096
)

// share divides descriptors: a tenth is kept in reserve, and clients and backends have half of the
// rest each. connections, if not 0, is what clients may have in any case.
func share(descriptors uint64, connections int) shares {
	n := int(min(descriptors, mostDescriptors))
	half := max((n-max(n/10, leastReserve))/2, leastShare)
	s := shares{clients: half, idle: min(half, mostIdle)}
	if connections > 0 {
		s.clients = connections
		s.idle = min(max(n-max(n/10, leastReserve)-connections, leastShare), s.idle)
	}
	return s
}

// newShares divides the descriptors that the process may have, and logs what comes of it. Package
// syscall has raised the soft limit to the hard one.
func newShares(connections int, log *zap.Logger) (shares, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return shares{}, fmt.Errorf("the limit of open files: %w", err)
	}
	s := share(limit.Cur, connections)
	fields := []zap.Field{zap.Uint64("open_files", limit.Cur), zap.Int("max_connections", s.clients), zap.Int("max_idle_upstream", s.idle)}
	if s.clients > share(limit.Cur, 0).clients {
		log.Warn("--max-connections leaves too few of the open files that the process may have: each request needs one for its backend too", fields...)
	} else {
		log.Info("limits of connections", fields...)
	}
	return s, nil
}

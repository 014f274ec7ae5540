package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// forbidCoreDumps keeps the private keys that are in memory off disks. The hard limit is lowered
// too, so that nothing in the process raises the soft one again.
func forbidCoreDumps() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("the limit of core dumps: %w", err)
	}
	return nil
}

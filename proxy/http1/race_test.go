//go:build race

package http1

// raceEnabled says that sync.Pool forgets at random, so that allocations say nothing.
const raceEnabled = true

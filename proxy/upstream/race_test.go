//go:build race

package upstream

// raceEnabled says that sync.Pool forgets at random, so that allocations say nothing.
const raceEnabled = true

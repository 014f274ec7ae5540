package proxytest

import (
	"os"
	"testing"
)

// Soaking says that tests take the figures that the project promises, and not those of every day, as
// FAIRLEAD_SOAK=1 asks.
func Soaking() bool { return os.Getenv("FAIRLEAD_SOAK") == "1" }

// Requests is how many requests a test sends: usual, a tenth of it with -short, and a million of
// them when Soaking.
func Requests(usual int) int {
	switch {
	case Soaking():
		return 1_000_000
	case testing.Short():
		return usual / 10
	}
	return usual
}

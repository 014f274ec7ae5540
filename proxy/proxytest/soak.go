package proxytest

import "os"

// Soaking says that tests take the figures that the project promises, and not those of every day, as
// FAIRLEAD_SOAK=1 asks.
func Soaking() bool { return os.Getenv("FAIRLEAD_SOAK") == "1" }

// Requests is how many requests a test sends: usual, a tenth of it when short, as -short asks, and a
// million of them when Soaking. Package testing is not asked here, as the demo has these backends too.
func Requests(usual int, short bool) int {
	switch {
	case Soaking():
		return 1_000_000
	case short:
		return usual / 10
	}
	return usual
}

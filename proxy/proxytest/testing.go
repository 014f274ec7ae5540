package proxytest

// TB is what helpers need of a testing.TB. The package testing is not imported, for the demo's sake.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Start makes b listen and returns it. It is closed when the test ends.
func Start(t TB, b *Backend) *Backend {
	t.Helper()
	if err := b.Listen(); err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(b.Close)
	return b
}

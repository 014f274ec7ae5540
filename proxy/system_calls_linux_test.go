package proxy_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// A proxied request takes two reads and two writes; client and backend of the test take one of each.
// Whatever waits in between must not begin with a read that finds nothing.
func TestSystemCallsOfARequest(t *testing.T) {
	once := proxied(t)
	const requests = 2000
	for range 100 {
		once()
	}
	before := callCounters(t)
	for range requests {
		once()
	}
	after := callCounters(t)
	for _, name := range []string{"syscr", "syscw"} {
		// The runtime wakes itself up by a write and a read now and then.
		if each := float64(after[name]-before[name]) / requests; each < 4 || each > 4.5 {
			t.Errorf("%s: %.2f for each request, want 4", name, each)
		}
	}
}

// callCounters are those of this process: how often it has read and written.
func callCounters(t *testing.T) map[string]int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Skipf("no accounting here: %v", err)
	}
	counters := make(map[string]int64)
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		counters[name], _ = strconv.ParseInt(value, 10, 64)
	}
	return counters
}

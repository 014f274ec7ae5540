package main

import (
	"maps"
	"testing"
)

func TestParseStrace(t *testing.T) {
	const table = `% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.100000          10     10000      5000 read
 40.00    0.050000          10      5000           write
  0.00    0.000000           0         1           epoll_ctl
------ ----------- ----------- --------- --------- ----------------
100.00    0.150000          10     15001      5000 total
`
	got, err := parseStrace(table)
	if want := map[string]int64{"read": 10000, "write": 5000, "epoll_ctl": 1}; err != nil || !maps.Equal(got, want) {
		t.Errorf("want %v, got %v, %v", want, got, err)
	}
	if got, err := parseStrace("strace: Process 1 attached\n"); err == nil {
		t.Errorf("want an error without a table, got %v", got)
	}
}

func TestCalls(t *testing.T) {
	c := counts{Syscalls: map[string]float64{"write": 2, "read": 2, "epoll_wait": 2.5, "brk": 0.009}}
	if got, want := c.calls(), "epoll_wait 2.50, read 2.00, write 2.00"; got != want {
		t.Errorf("want %s, got %s", want, got)
	}
	if got := c.total(); got < 6.5 || got > 6.51 {
		t.Errorf("want the sum of all calls, got %v", got)
	}
}

func TestParseCounters(t *testing.T) {
	const text = `# TYPE go_memstats_mallocs_total counter
go_memstats_mallocs_total 1.234e+06
go_memstats_mallocs_total_of_others 5
go_gc_duration_seconds{quantile="0"} 1
go_gc_duration_seconds_count 42
`
	c, err := parseCounters([]byte(text))
	if want := (runtimeCounters{1.234e6, 42}); err != nil || c != want {
		t.Errorf("want %v, got %v, %v", want, c, err)
	}
	for _, text := range []string{"", "go_memstats_mallocs_total 1\n", "go_gc_duration_seconds_count 1\n", "go_memstats_mallocs_total x\ngo_gc_duration_seconds_count 1\n"} {
		if c, err := parseCounters([]byte(text)); err == nil {
			t.Errorf("%q: want an error, got %v", text, c)
		}
	}
}

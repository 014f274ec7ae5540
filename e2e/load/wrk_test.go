package main

import (
	"strings"
	"testing"
	"time"
)

func TestParseWrk(t *testing.T) {
	l, err := parseWrk("Running 1s test\n  0.9 result of nothing\nRequests/sec: 5\nresult 5000 6000000 1000500 0 0 0 0 0\n")
	if want := (load{requests: 5000, bytes: 6000000, elapsed: 1000500 * time.Microsecond}); err != nil || l != want {
		t.Errorf("want %+v, got %+v, %v", want, l, err)
	}
	for text, want := range map[string]string{
		"unable to connect":                    "want a line",
		"result 1 2 3":                         "result",
		"result 5 6 7000 0 0 0 2 0":            "status 2",
		"result 5 6 7000 1 2 3 0 4":            "connect 1, read 2, write 3, status 0, timeout 4",
		"result 0 0 1000 0 0 0 0 0":            "got none",
		"result 5 6 0 0 0 0 0 0":               "got none",
		"result 5 6 7000 0 0 0 0 0 result 1 x": "result 1 x",
	} {
		if _, err := parseWrk(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: want an error with %q, got %v", text, want, err)
		}
	}
}

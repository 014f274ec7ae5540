package main

import "testing"

func TestShare(t *testing.T) {
	for _, tt := range []struct {
		descriptors uint64
		connections int
		want        shares
	}{
		{1 << 20, 0, shares{471859, 4096}},
		{1<<64 - 1, 0, shares{471859, 4096}}, // no limit
		{1024, 0, shares{461, 461}},
		{512, 0, shares{224, 224}},
		{100, 0, shares{18, 18}},
		{10, 0, shares{16, 16}}, // nothing works then, and not because of this
		{512, 100, shares{100, 224}},
		{512, 400, shares{400, 48}},
		{512, 100_000, shares{100_000, 16}},
		{1 << 20, 10, shares{10, 4096}},
	} {
		if got := share(tt.descriptors, tt.connections); got != tt.want {
			t.Errorf("of %d, with --max-connections=%d: got %+v, want %+v", tt.descriptors, tt.connections, got, tt.want)
		}
	}
}

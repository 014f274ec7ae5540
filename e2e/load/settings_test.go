package main

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestSettings(t *testing.T) {
	binary := os.Args[0] // is a file
	for _, c := range []struct {
		args    string
		proxies string
		rows    int
	}{
		{"", "fairlead nginx haproxy", len(standardRows)},
		{"-rows 1k-64", "fairlead nginx haproxy", 1},
		{"-against " + binary, "fairlead against", len(standardRows)},
		{"-against-args=--x", "fairlead against", len(standardRows)},
		{"-proxies nginx,fairlead", "fairlead nginx", len(standardRows)},
		{"-proxies nginx", "nginx", len(standardRows)},
		{"-proxies against,nginx,fairlead -against " + binary, "fairlead against nginx", len(standardRows)},
	} {
		s, err := parseSettings(strings.Fields(c.args), io.Discard)
		if err != nil {
			t.Errorf("%s: %v", c.args, err)
			continue
		}
		if got := strings.Join(s.proxies, " "); got != c.proxies || len(s.rows) != c.rows {
			t.Errorf("%s: want %s and %d rows, got %s and %d", c.args, c.proxies, c.rows, got, len(s.rows))
		}
	}
}

func TestSettingsMistakes(t *testing.T) {
	for args, wants := range map[string][]string{
		"-rows 3k-1":                          {"3k"},
		"-rounds 0 -seconds 0 -warmup -1":     {"-rounds", "-seconds", "-warmup"},
		"-proxies envoy":                      {"envoy"},
		"-proxies nginx,nginx":                {"twice"},
		"-proxies fairlead,against":           {"-against"},
		"-proxies nginx,against -against /":   {"fairlead beside it"},
		"-binary /no/such/file":               {"/no/such/file"},
		"-proxy-cpus 2-1 -load-cpus x":        {"-proxy-cpus", "-load-cpus"},
		"1k-64":                               {"want flags only"},
		"-from report.json":                   {"-md"},
		"-md settings_test.go":                {"-md", "want a line"},
		"-seconds 100000 -count -1 -rows nil": {"-seconds", "-count", "nil"},
	} {
		_, err := parseSettings(strings.Fields(args), io.Discard)
		for _, want := range wants {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: want an error with %q, got %v", args, want, err)
			}
		}
	}
}

func TestCountCPUs(t *testing.T) {
	for list, want := range map[string]int{"0": 1, "1,3": 2, "0-3": 4, "0-1,8,10-11": 5} {
		if got, err := countCPUs(list); err != nil || got != want {
			t.Errorf("%s: want %d, got %d, %v", list, want, got, err)
		}
	}
}

func TestControls(t *testing.T) {
	s, err := parseSettings([]string{"-binary", os.Args[0]}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	subjects, err := s.subjects(t.Context(), t.TempDir(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if got := controls(subjects); !slices.Equal(got, []string{"nginx", "haproxy"}) {
		t.Errorf("want all but fairlead, got %v", got)
	}
	if got := s.programs(subjects); !slices.Equal(got, []string{"taskset", "nginx", "wrk", "strace", "haproxy"}) {
		t.Errorf("want every program once, got %v", got)
	}
}

package main

import (
	"slices"
	"strings"
	"testing"
)

func TestParseRow(t *testing.T) {
	for name, want := range map[string]Row{
		"64-1":                     {Size: 64, Connections: 1, Routes: 1},
		"1k-64-tls-new":            {Size: 1024, Connections: 64, TLS: true, New: true, Routes: 1},
		"16k-512-log":              {Size: 16384, Connections: 512, Log: true, Routes: 1},
		"1m-64-routes10k":          {Size: 1 << 20, Connections: 64, Routes: 10_000},
		"1k-2-routes20":            {Size: 1024, Connections: 2, Routes: 20},
		"open-1k-64-tls":           {Open: true, Size: 1024, Connections: 64, TLS: true, Routes: 1},
		"1k-64-tls-routes100k-log": {Size: 1024, Connections: 64, TLS: true, Routes: 100_000, Log: true},
	} {
		want.Name = name
		if got, err := ParseRow(name); err != nil || got != want {
			t.Errorf("%s: want %+v, got %+v, %v", name, want, got, err)
		}
	}
	for _, name := range []string{
		"", "1k", "2k-64", "1k-0", "1k-x", "1k-4001", "1k-64-h2", "1k-64-routes", "1k-64-routes15",
		"1k-64-routes0", "1k-64-routes101k", "open", "open-1k-64-new", "open-1k-64-routes10", "1k-64-",
	} {
		if got, err := ParseRow(name); err == nil {
			t.Errorf("%q: want an error, got %+v", name, got)
		}
	}
}

func TestStandardRows(t *testing.T) {
	rows, err := SelectRows("*")
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(standardRows) {
		t.Errorf("want %d rows, got %d: is one there twice?", len(standardRows), len(rows))
	}
	for _, g := range goals {
		if !slices.Contains(standardRows, g.row) {
			t.Errorf("the goal for %s against %s has no row", g.row, g.control)
		}
	}
}

func TestSelectRows(t *testing.T) {
	for list, want := range map[string]string{
		"1k-64":              "1k-64",
		"1k-64, 64-64":       "1k-64 64-64",
		"1k-64,1k-64":        "1k-64",
		"1k-9-tls":           "1k-9-tls",
		"1m-*":               "1m-64 1m-64-tls",
		"1m-64-tls,1m-*":     "1m-64-tls 1m-64",
		"open-*":             "open-1k-64 open-1k-64-tls",
		"1k-64-[ln]*,*-512*": "1k-64-new 1k-64-log 1k-512",
	} {
		rows, err := SelectRows(list)
		var names []string
		for _, r := range rows {
			names = append(names, r.Name)
		}
		if got := strings.Join(names, " "); err != nil || got != want {
			t.Errorf("%s: want %s, got %s, %v", list, want, got, err)
		}
	}
	for _, list := range []string{"", "2k-*", "[", "1k-64,", "1m-*,1m-64*"} {
		if rows, err := SelectRows(list); err == nil {
			t.Errorf("%q: want an error, got %v", list, rows)
		}
	}
}

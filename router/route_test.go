package router

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// parseRoutes reads one Route a line, as WriteTo writes them: HOST PATH PATHTYPE TARGET
// NAMESPACE/NAME, then optionally the day the object was created. Fields at the end may be
// left out.
func parseRoutes(text string) ([]*Route, error) {
	types := map[string]PathType{}
	for p := Exact; p <= HostOnly; p++ {
		types[p.String()] = p
	}
	var routes []*Route
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if len(f) < 3 || types[f[2]] == 0 {
			return nil, fmt.Errorf("route %q: want HOST PATH PATHTYPE", line)
		}
		r := &Route{Host: f[0], Path: strings.ReplaceAll(f[1], "␠", " "), PathType: types[f[2]]}
		if r.Host == "*" {
			r.Host = ""
		}
		if r.Path == "-" {
			r.Path = ""
		}
		if len(f) > 3 {
			r.Target = f[3]
		}
		if len(f) > 4 {
			r.Origin.Namespace, r.Origin.Name, _ = strings.Cut(f[4], "/")
		}
		if len(f) > 5 {
			day, err := strconv.Atoi(f[5])
			if err != nil {
				return nil, err
			}
			r.Origin.Created = time.Date(2025, 1, day, 0, 0, 0, 0, time.UTC)
		}
		routes = append(routes, r)
	}
	return routes, nil
}

func mustRoutes(t testing.TB, text string) []*Route {
	t.Helper()
	routes, err := parseRoutes(text)
	if err != nil {
		t.Fatal(err)
	}
	return routes
}

func mustBuild(t testing.TB, text string) *Table {
	t.Helper()
	table, _ := Build(mustRoutes(t, text))
	return table
}

func TestOriginCompare(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2025, 1, n, 0, 0, 0, 0, time.UTC) }
	ordered := []Origin{
		{"z", "z", time.Time{}},
		{"a", "b", day(1)},
		{"b", "a", day(1)},
		{"b", "b", day(1)},
		{"b-b", "a", day(1)},
		{"a", "a", day(2)},
	}
	for i, a := range ordered {
		for j, b := range ordered {
			if got := a.Compare(b); got < 0 != (i < j) || got == 0 != (i == j) {
				t.Errorf("%v.Compare(%v) = %d", a, b, got)
			}
		}
	}
	// One moment in two time zones is one age.
	east := Origin{"n", "i", day(1).In(time.FixedZone("east", 3600))}
	if got := east.Compare(Origin{"n", "i", day(1)}); got != 0 {
		t.Errorf("the same origin in another time zone compares as %d, want 0", got)
	}
}

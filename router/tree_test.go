package router

import (
	"fmt"
	"strings"
	"testing"
)

// The children of a node become a map when there are many: both sides of that number.
func TestLookupManyChildren(t *testing.T) {
	for n := 1; n <= 3*maxFew; n++ {
		var routes []*Route
		for i := range n {
			routes = append(routes,
				&Route{Host: "foo.com", Path: fmt.Sprintf("/p%d", i), PathType: Prefix},
				&Route{Host: "foo.com", Path: fmt.Sprintf("/p%d/deep/er", i), PathType: Exact})
		}
		table, _ := Build(routes)
		for _, r := range routes {
			if got, o := table.Lookup("foo.com", r.Path); got != r || o != Matched {
				t.Fatalf("%d paths: Lookup(%q) = %v, %v, want its route", n, r.Path, got, o)
			}
		}
		if r, o := table.Lookup("foo.com", "/p"); r != nil || o != NoPath {
			t.Fatalf("%d paths: Lookup of /p = %v, %v, want NoPath", n, r, o)
		}
	}
}

// A path of very many elements is no trouble.
func TestBuildDeepPath(t *testing.T) {
	deep := strings.Repeat("/a", 50_000)
	table, _ := Build([]*Route{
		{Host: "foo.com", Path: deep, PathType: Prefix, Target: "deep"},
		{Host: "foo.com", Path: "/a", PathType: Prefix, Target: "flat"},
	})
	for path, want := range map[string]string{deep: "deep", deep + "/b": "deep", deep[2:]: "flat"} {
		if r, o := table.Lookup("foo.com", path); show(r, o) != want {
			t.Errorf("%d elements: got %s, want %s", strings.Count(path, "/"), show(r, o), want)
		}
	}
}

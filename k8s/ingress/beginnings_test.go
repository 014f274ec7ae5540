package ingress

import (
	"strings"
	"testing"

	"github.com/fairlead-ingress/fairlead/router"
)

// What a pattern that does not compile could match is closed, and nothing else where that can be told.
func TestBeginnings(t *testing.T) {
	for _, c := range []struct {
		path     string
		yes, not []string
	}{
		{`/bad[`, []string{"/bad", "/bad/x"}, []string{"/ba"}},
		{`/api|/admin[`, []string{"/api", "/admin", "/x/admin"}, []string{"/adm"}},
		{`/admin?x[`, []string{"/admix", "/adminx"}, []string{"/adm"}},
		{`/admé*(`, []string{"/adm", "/admé"}, []string{"/ad"}},
		{`/admin)`, []string{"/admin", "/admin)"}, []string{"/x"}},
		{`/x(a|b[`, []string{"/xa", "/x"}, []string{"/ab"}},
		{`/x[a|b`, []string{"/xa"}, []string{"/b"}},
		{`/x\|y[`, []string{"/x|y"}, []string{"/y"}},
		{`|[`, []string{"/", "/x"}, nil},
		{"/\xff[", []string{"/", "/x"}, nil},
	} {
		pattern := beginnings(c.path)
		if len(pattern) < len(c.path) && pattern != "" {
			t.Errorf("%s: %q is shorter, and tried after what the path comes before", c.path, pattern)
		}
		p, err := router.ParsePattern(pattern)
		if err != nil {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		for _, path := range c.yes {
			if !p.Match(path) {
				t.Errorf("%s: %s is open", c.path, path)
			}
		}
		for _, path := range c.not {
			if p.Match(path) {
				t.Errorf("%s: %s is closed", c.path, path)
			}
		}
	}
	long := "/" + strings.Repeat("a?", 5000) + "["
	if _, err := router.ParsePattern(beginnings(long)); err != nil {
		t.Error(err)
	}
}

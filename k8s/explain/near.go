package explain

import (
	"slices"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
)

// nearest returns the candidate that differs least from name, the first of several, or "" when
// none is close enough to have been meant.
func nearest(name string, candidates []string) string {
	limit := max(2, len(name)/4)
	best := ""
	for _, c := range candidates {
		if c == name || abs(len(c)-len(name)) > limit {
			continue
		}
		if d := policy.Distance(name, c); d < limit || d == limit && best == "" {
			best, limit = c, d
		}
	}
	return best
}

func abs(n int) int { return max(n, -n) }

// some returns the first of a list, with how many more there are.
func some(list []string, most int) []string {
	if len(list) <= most {
		return list
	}
	return append(slices.Clone(list[:most]), "and "+plural(len(list)-most, "other"))
}

func sortStrings(lists ...[]string) {
	for _, l := range lists {
		slices.Sort(l)
	}
}

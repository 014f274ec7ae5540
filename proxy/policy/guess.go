package policy

import (
	"math/bits"
	"slices"
	"strings"
)

// guardWords are words that a key speaks of access with.
var guardWords = []string{
	"auth", "authn", "authz", "authentication", "authorization", "oauth", "oauth2", "oidc", "jwt", "saml", "mtls",
	"allowlist", "whitelist", "denylist", "blacklist", "blocklist", "satisfy",
	"modsecurity", "owasp", "waf", "snippet",
}

// guess judges a key that is not in the table, as a key without name. It fails closed when the key speaks of
// access or of TLS to the backend, or when it is a guard's name misspelled: the writer believes that the route is
// protected.
func guess(name string) key {
	lower := strings.ToLower(name)
	near, distance := nearest(lower)
	hint := "no key has a similar name"
	if near.name != "" {
		hint = "did you mean " + near.name + "?"
	}
	speaks := slices.ContainsFunc(strings.FieldsFunc(lower, isSeparator), func(word string) bool { return slices.Contains(guardWords, word) })
	misspelled := near.outcome == Refused && distance <= 2
	if speaks || misspelled || strings.Contains(lower, "source-range") || strings.HasPrefix(lower, "proxy-ssl") {
		return key{outcome: Refused, doc: hint}
	}
	return key{outcome: Unknown, doc: hint}
}

func isSeparator(r rune) bool { return r == '-' || r == '_' || r == '.' }

// nearest returns the known key with the smallest distance to name, the first by name among
// several, and the zero key when none is close enough for a hint.
func nearest(name string) (key, int) {
	limit := max(2, len(name)/4)
	var best key
	letters := lettersOf(name)
	for _, k := range known().candidates {
		if len(k.name)-len(name) > limit || len(name)-len(k.name) > limit || bits.OnesCount64(letters^k.letters) > 2*limit {
			continue // one change adds a letter and takes one away at most
		}
		if d := Distance(name, k.name); d < limit || d == limit && best.name == "" {
			best, limit = k.key, d
		}
	}
	return best, limit
}

// Distance is the number of characters to insert, remove, replace or swap with their
// neighbour that turns a into b.
func Distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

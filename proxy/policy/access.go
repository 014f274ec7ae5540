package policy

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Access says which client addresses a rule serves; the others get 403.
type Access struct {
	// Deny wins over Allow. An empty Allow allows everybody that is not denied.
	Deny, Allow []netip.Prefix
}

var (
	allowlist = Key{
		Name: "allowlist-source-range", Aliases: []string{"whitelist-source-range"}, Class: Guard, Global: true,
		Value: "addresses and CIDRs, separated by commas", Doc: "serves only these client addresses, others get 403",
	}
	denylist = Key{
		Name: "denylist-source-range", Class: Guard, Global: true,
		Value: "addresses and CIDRs, separated by commas", Doc: "answers 403 to these client addresses, before the allow list is looked at",
	}
)

var access = feature{
	name: "access",
	keys: []Key{allowlist, denylist},
	read: func(r *reader, s *Set) {
		var a Access
		a.Deny = r.ranges(denylist)
		a.Allow = r.ranges(allowlist)
		if len(a.Deny)+len(a.Allow) > 0 {
			s.Access = &a
		}
	},
	guard: func(s *Set) any { return s.demand(s.Access) },
	wrap: func(l link, next http.Handler) http.Handler {
		a := l.Access
		if a == nil || l.oneIsEnough() {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !a.admits(exchangeOf(w).Client()) {
				answer(w, r, http.StatusForbidden, "address-denied")
				return
			}
			next.ServeHTTP(w, r)
		})
	},
}

// ranges reads a list of a guard. One that is there and empty is no permission.
func (r *reader) ranges(k Key) []netip.Prefix {
	a, ok := r.find(k)
	if !ok || a.setting && len(r.list(k)) == 0 {
		return nil
	}
	for entry := range strings.SplitSeq(a.value, ",") {
		if strings.TrimSpace(entry) == "" {
			r.bad(k, "want addresses or CIDRs, got an empty entry")
			return nil
		}
	}
	list, _ := r.prefixes(k)
	return list
}

// admits reports whether a client may pass. One whose address is not known may not, where it
// matters.
func (a *Access) admits(client netip.Addr) bool {
	has := func(p netip.Prefix) bool { return p.Contains(client) }
	if !client.IsValid() || slices.ContainsFunc(a.Deny, has) {
		return false
	}
	return len(a.Allow) == 0 || slices.ContainsFunc(a.Allow, has)
}

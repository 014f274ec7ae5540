package policy

import (
	"net/http"
	"slices"

	"golang.org/x/net/http/httpguts"
)

// vouching removes what a client sends under the names of the fields of global-auth-url's answers
// where that is not asked: a backend believes them.
var vouching = feature{
	name: "unvouched fields",
	wrap: func(l link, next http.Handler) http.Handler {
		if len(l.Unvouched) == 0 {
			return next
		}
		fields := ExternalAuth{Response: l.Unvouched}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fields.Strip(r.Header)
			next.ServeHTTP(w, r)
		})
	},
}

// Vouches reports whether backends believe a field of that name, in any spelling, as it is one of an
// auth service's answers. A nil Set has none.
func (s *Set) Vouches(name string) bool {
	if s == nil {
		return false
	}
	same := func(vouched string) bool { return SameField(vouched, name) }
	return slices.ContainsFunc(s.Unvouched, same) || s.Auth != nil && slices.ContainsFunc(s.Auth.Response, same)
}

// unvouched returns which of the names of a service's fields clients may not send where it is not
// asked: all but credentials, which prove themselves and may be for another guard.
func unvouched(names []string) []string {
	var list []string
	for _, name := range names {
		name = http.CanonicalHeaderKey(name)
		if httpguts.ValidHeaderFieldName(name) && name != "Authorization" && name != "Cookie" && !ours(name) {
			list = append(list, name)
		}
	}
	return list
}

package policy

import "net/http"

var satisfyKey = Key{
	Name: "satisfy", Class: Guard, Value: "all or any", Default: "all",
	Doc: "any: a client that the allow list, the password or auth-url admits need not pass the others; not to be on the deny list admits nobody",
}

// satisfy stands in for the guards where one of several is enough.
var satisfy = feature{
	name:  "satisfy any",
	keys:  []Key{satisfyKey},
	read:  func(r *reader, s *Set) { s.SatisfyAny = r.oneOf(satisfyKey, "all", "all", "any") == "any" },
	guard: func(s *Set) any { return s.oneIsEnough() },
	wrap: func(l link, next http.Handler) http.Handler {
		if !l.oneIsEnough() {
			return next
		}
		h := &anyHandler{access: l.Access, next: next}
		if l.BasicAuth != nil {
			h.password = l.newBasicAuth(next)
		}
		if l.Auth != nil {
			h.service = l.newExternalAuth(next)
			if h.password != nil {
				h.service.challenge = h.password.challenge
			}
		}
		return h
	},
}

// oneIsEnough reports whether there are several guards, of which any admits.
func (s *Set) oneIsEnough() bool {
	n := 0
	for _, set := range []bool{s.Access != nil, s.BasicAuth != nil, s.Auth != nil} {
		if set {
			n++
		}
	}
	return s.SatisfyAny && n > 1
}

// anyHandler asks the guards in the order of the chain, and the rest no more when one admits. Nil
// ones are not set.
type anyHandler struct {
	access   *Access
	password *basicAuthHandler
	service  *authHandler
	next     http.Handler
}

func (h *anyHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	listed := h.access != nil && len(h.access.Allow) > 0 && h.access.admits(exchangeOf(w).Client())
	passes, busy := listed, false
	if !passes && h.password != nil {
		passes, busy = h.password.passes(r)
	}
	switch {
	case passes:
		if h.password != nil {
			delete(r.Header, "Authorization")
		}
		if h.service != nil {
			h.service.auth.Strip(r.Header) // it was not asked, so nobody vouches for its fields
		}
		h.next.ServeHTTP(w, r)
	case h.service != nil:
		h.service.ServeHTTP(w, r)
	default:
		h.password.refuse(w, r, busy) // there are two guards, and the other is access
	}
}

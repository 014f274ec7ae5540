package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
)

var sslPassthrough = Key{
	Name: "ssl-passthrough", Class: Routing, Value: "true or false", Default: "false",
	Doc: "hands the TLS connections of the host to the endpoints of its path / as they are, by the server name; needs --enable-ssl-passthrough, and the oldest Ingress of the host decides, which must have the path / itself. Of all other annotations only lists of addresses are for such connections, those of the path /; beside others that guard access, of any Ingress of the host, the connections are closed",
}

var passthrough = feature{
	name: "TLS passthrough",
	keys: []Key{sslPassthrough},
	read: func(r *reader, s *Set) {
		if !r.boolean(sslPassthrough, false) {
			return
		}
		if !r.Passthrough {
			r.judge(sslPassthrough, Unroutable, errors.New("--enable-ssl-passthrough is not set"))
			return
		}
		s.Passthrough = true
	},
}

// refusePassthrough lets connections that are passed on fail closed where the Set has guards that
// cannot be asked of them. All features were read.
func (r *reader) refusePassthrough(s *Set) {
	if !s.Passthrough {
		return
	}
	if unasked := Unasked(s); len(unasked) > 0 {
		r.judge(sslPassthrough, Refused, fmt.Errorf("%s cannot be asked of connections that are not decrypted", strings.Join(unasked, ", ")))
	}
}

// Unasked returns the names of the features by which s guards access and that cannot be asked of
// connections that are not decrypted: all but the lists of addresses. A nil Set has none.
func Unasked(s *Set) []string {
	if s == nil {
		return nil
	}
	var unasked []string
	for i := range chain {
		f := &chain[i]
		if f.guard != nil && f.name != access.name && f.name != blocking.name && guards(f.guard(s)) {
			unasked = append(unasked, f.name)
		}
	}
	return unasked
}

// SameAddresses reports whether what rule asks of addresses is asked of a connection by the lists
// of s as well: it has no list, or that of s. Either may be nil.
func SameAddresses(s, rule *Set) bool {
	return rule == nil || rule.Access == nil || s != nil && reflect.DeepEqual(s.Access, rule.Access)
}

// Admits reports whether the lists of addresses of s let a client through: all that there is for
// a connection that is not decrypted. A nil Set lets everybody.
func Admits(s *Set, client netip.Addr) bool {
	switch {
	case s == nil:
		return true
	case s.Access != nil && !s.Access.admits(client):
		return false
	case s.Blocking == nil || len(s.Blocking.Clients) == 0:
		return true
	}
	return client.IsValid() && !slices.ContainsFunc(s.Blocking.Clients, func(p netip.Prefix) bool { return p.Contains(client) })
}

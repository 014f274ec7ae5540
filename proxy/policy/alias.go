package policy

import (
	"errors"
	"strings"
)

var serverAlias = Key{
	Name: "server-alias", Class: Routing, Value: "hosts, separated by commas",
	Doc: "more hosts that are served as the first host of the rules, by the rules of all its Ingresses; not where an Ingress has rules for them, nor beyond 5,000 rules for all of them",
}

var errAliasPattern = errors.New("regular expressions are not supported, want hosts")

// aliases is no handler: whoever makes the rules makes them for more hosts.
var aliases = feature{
	name: "aliases",
	keys: []Key{serverAlias},
	read: func(r *reader, s *Set) {
		for _, host := range r.list(serverAlias) {
			if strings.HasPrefix(host, "~") {
				r.judge(serverAlias, OtherHosts, errAliasPattern)
				continue
			}
			s.Aliases = append(s.Aliases, host)
		}
	},
}

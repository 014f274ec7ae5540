package ingress

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// part is what one Ingress asks of one host.
type part struct {
	host  string
	rules []*proxy.Rule
	// alternatives are what the rules of a canary are: not served by themselves.
	alternatives []*proxy.Rule
	twin         *proxy.Rule // a redirect, if no Ingress has rules for the host; may be nil
	// aliasOf is the host as which this one is served, if no Ingress has rules for it; may be empty.
	// aliasAt is its place among the aliases of the Ingress.
	aliasOf string
	aliasAt int
}

// member is an Ingress that has a part in a host.
type member struct {
	*entry
	*part
}

// host is what the Ingresses that name a host come to together. Nothing that is served depends
// on more than one host but Problems, backends, certificates and aliases, so the host is what is made
// again when one of its Ingresses changed: all but name, members, claims and aliases is unite of members,
// and of the host that it is an alias of.
type host struct {
	name    string
	members []member // in order of precedence
	// claims counts the Ingresses of ours that mean a fact, of each kind of fact. They may
	// have no part in the host.
	claims [factKinds]int
	// aliases counts, by their names, the members of other hosts that are to be served as this.
	aliases map[string]int

	rules    *proxy.HostRules // nil when nothing is served
	canaries []upstream.Key   // the backends of canaries that get requests
	problems []Problem        // of canaries, and of what is of the host as a whole
}

func (h *host) facts() fact {
	var f fact
	for kind, n := range h.claims {
		if n > 0 {
			f |= 1 << kind
		}
	}
	return f
}

// hosts are those that Ingresses of ours name.
type hosts struct {
	byName map[string]*host
	// touched are those whose members are not those that the rest was made of.
	touched  map[*host]struct{}
	troubled map[*host]struct{} // those with problems
	// list is that of the last Result, which shares it.
	list []*proxy.HostRules
}

func newHosts() hosts {
	return hosts{byName: make(map[string]*host), touched: make(map[*host]struct{}), troubled: make(map[*host]struct{})}
}

func (hs *hosts) at(name string) *host {
	h := hs.byName[name]
	if h == nil {
		h = &host{name: name}
		hs.byName[name] = h
	}
	return h
}

// facts of a host that nobody names are none, and so are those of nil.
func (hs *hosts) facts(name string) fact {
	if hs == nil || hs.byName[name] == nil {
		return 0
	}
	return hs.byName[name].facts()
}

// enter makes e a member of its hosts.
func (hs *hosts) enter(e *entry) {
	for i := range e.parts {
		m := member{e, &e.parts[i]}
		h := hs.at(m.host)
		at, _ := slices.BinarySearchFunc(h.members, e, compareMember)
		h.members = slices.Insert(h.members, at, m)
		hs.touched[h] = struct{}{}
		hs.count(m.part, +1)
	}
}

// leave takes back enter.
func (hs *hosts) leave(e *entry) {
	for i := range e.parts {
		h := hs.at(e.parts[i].host)
		h.members = slices.DeleteFunc(h.members, func(m member) bool { return m.entry == e })
		hs.touched[h] = struct{}{}
		hs.count(&e.parts[i], -1)
	}
}

func compareMember(m member, e *entry) int { return compareEntries(m.entry, e) }

// count notes that a part is, or is no more, of an alias.
func (hs *hosts) count(p *part, n int) {
	if p.aliasOf == "" {
		return
	}
	of := hs.at(p.aliasOf)
	if of.aliases == nil {
		of.aliases = make(map[string]int)
	}
	if of.aliases[p.host] += n; of.aliases[p.host] == 0 {
		delete(of.aliases, p.host)
	}
	hs.touched[of] = struct{}{} // it may be needed no more
}

// settle unites the hosts that were touched, and tells bs of canaries that come and go.
func (hs *hosts) settle(bs *backends) {
	var changed []*host
	become := func(h *host, rules *proxy.HostRules, problems []Problem) {
		before := h.rules
		h.rules, h.problems = rules, problems
		if len(h.problems) > 0 {
			hs.troubled[h] = struct{}{}
		} else {
			delete(hs.troubled, h)
		}
		if before != nil && h.rules != nil && sameHostWide(before, h.rules) && slices.EqualFunc(before.Rules, h.rules.Rules, equalRule) {
			h.rules = before
		}
		if h.rules != before {
			changed = append(changed, h)
		}
	}
	for h := range maps.Clone(hs.touched) {
		for alias := range h.aliases {
			hs.touched[hs.at(alias)] = struct{}{}
		}
	}
	type open struct {
		*host
		rules    *proxy.HostRules
		problems []Problem
	}
	var later []open // aliases, which are what other hosts come to
	for h := range hs.touched {
		bs.join(h.canaries, -1)
		rules, canaries, problems := unite(h.name, h.members)
		h.canaries = canaries
		bs.join(h.canaries, +1)
		if !hasRules(rules) && slices.ContainsFunc(h.members, func(m member) bool { return m.aliasOf != "" }) {
			later = append(later, open{h, rules, problems})
			continue
		}
		rules, refused := hs.alias(h, rules)
		become(h, rules, append(problems, refused...))
	}
	for _, o := range later {
		rules, refused := hs.alias(o.host, o.rules)
		become(o.host, rules, append(o.problems, refused...))
	}
	for h := range hs.touched {
		if len(h.members) == 0 && len(h.aliases) == 0 && h.claims == [factKinds]int{} {
			delete(hs.byName, h.name)
		}
	}
	clear(hs.touched)
	if len(changed) == 0 {
		return
	}
	slices.SortFunc(changed, func(a, b *host) int { return strings.Compare(a.name, b.name) })
	next, rest := make([]*proxy.HostRules, 0, len(hs.list)+len(changed)), hs.list
	for _, h := range changed {
		at, had := slices.BinarySearchFunc(rest, h.name, func(r *proxy.HostRules, name string) int { return strings.Compare(r.Host, name) })
		next, rest = append(next, rest[:at]...), rest[at:]
		if had {
			rest = rest[1:]
		}
		if h.rules != nil {
			next = append(next, h.rules)
		}
	}
	hs.list = append(next, rest...)
	if len(hs.list) == 0 {
		hs.list = nil
	}
}

func sameHostWide(a, b *proxy.HostRules) bool {
	return slices.Equal(a.Ciphers, b.Ciphers) && reflect.DeepEqual(a.Passthrough, b.Passthrough)
}

func equalRule(a, b *proxy.Rule) bool { return a == b || reflect.DeepEqual(a, b) }

// unite returns what a host serves: a function of its arguments, of which members are in order
// of precedence.
func unite(name string, members []member) (*proxy.HostRules, []upstream.Key, []Problem) {
	var rules []*proxy.Rule
	for _, m := range members {
		rules = append(rules, m.part.rules...)
	}
	rules, canaries, problems := joinCanaries(members, rules)
	if len(rules) == 0 {
		// A redirect to the twin is for a host that nobody has.
		if i := slices.IndexFunc(members, func(m member) bool { return m.twin != nil }); i >= 0 {
			rules = []*proxy.Rule{members[i].twin}
		}
	}
	if len(rules) == 0 {
		return nil, canaries, problems
	}
	made := &proxy.HostRules{Host: name, Rules: guardHost(rules)}
	return made, canaries, append(problems, hostWide(made, members)...)
}

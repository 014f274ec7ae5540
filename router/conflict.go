package router

import (
	"fmt"
	"strconv"
)

// Conflict is two Routes that match the same requests with the same precedence, so that
// one of them is not served.
type Conflict struct {
	Winner, Loser *Route
	// Example is a URL that both claim.
	Example string
}

// lost is a Conflict without its example, which depends on the other hosts of the Table.
type lost struct {
	winner, loser *Route
	path          string // canonical; "" for Default
}

// String says which routes clash, where, and why the winner won.
func (c Conflict) String() string {
	w, l := c.Winner, c.Loser
	why := "comes first by namespace and name"
	switch {
	case w.Origin.Created.Before(l.Origin.Created):
		why = "is older"
	case w.Origin.Compare(l.Origin) == 0:
		why = "comes first by target"
	}
	return fmt.Sprintf("%s matches the same requests as %s, like %s; the latter is served: it %s",
		describe(l), describe(w), c.Example, why)
}

func describe(r *Route) string {
	host, path := keyHost(HostKey(r.Host)), ""
	if r.PathType != Default {
		path = " " + strconv.Quote(r.Path)
	}
	return fmt.Sprintf("%s%s on %s of %s to %s", r.PathType, path, host, r.Origin, orDash(r.Target))
}

// conflicts returns what the hosts lost, in dump order.
func (t *Table) conflicts() []Conflict {
	var cs []Conflict
	for _, h := range t.disputed {
		origin := "http://" + t.exampleHost(h.key)
		for _, l := range h.lost {
			path := l.path
			if path == "" {
				path = "/"
			}
			cs = append(cs, Conflict{Winner: l.winner, Loser: l.loser, Example: origin + path})
		}
	}
	return cs
}

// exampleHost returns a host that the routes under key concern, and no others.
func (t *Table) exampleHost(key string) string {
	if key != "" && key[0] != '.' {
		return keyHost(key)
	}
	// A wildcard needs a label in front that is no exact host. A name of one label is
	// served by the hostless routes unless it is an exact host.
	name := "any-host"
	for i := 2; t.hosts[name+key] != nil; i++ {
		name = "any-host-" + strconv.Itoa(i)
	}
	return name + key
}

package router

// Difference returns the Routes that are served by t and not by before, and those that were served by
// before and are not by t; each in dump order. A Route is the same if it is the same pointer. Hosts
// that the Tables share cost next to nothing. Either may be nil.
func (t *Table) Difference(before *Table) (fresh, gone []*Route) {
	old, now := before.list(), t.list()
	for len(old) > 0 || len(now) > 0 {
		switch {
		case len(old) > 0 && len(now) > 0 && old[0] == now[0]:
			old, now = old[1:], now[1:]
		case len(now) == 0 || len(old) > 0 && compareHosts(old[0], now[0]) < 0:
			gone, old = append(gone, old[0].routes...), old[1:]
		case len(old) == 0 || compareHosts(old[0], now[0]) > 0:
			fresh, now = append(fresh, now[0].routes...), now[1:]
		default:
			fresh, gone = appendMissing(fresh, now[0].routes, old[0].routes), appendMissing(gone, old[0].routes, now[0].routes)
			old, now = old[1:], now[1:]
		}
	}
	return fresh, gone
}

func (t *Table) list() []*host {
	if t == nil {
		return nil
	}
	return t.order
}

// appendMissing appends to list what of routes is not in others.
func appendMissing(list, routes, others []*Route) []*Route {
	in := make(map[*Route]struct{}, len(others))
	for _, r := range others {
		in[r] = struct{}{}
	}
	for _, r := range routes {
		if _, both := in[r]; !both {
			list = append(list, r)
		}
	}
	return list
}

package dashboard

import (
	"cmp"
	"slices"

	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// poolRow is one pool with its endpoints.
type poolRow struct {
	Key      string
	Protocol string
	Draining bool // no route leads to it any more
	Ready    int  // endpoints that are not ejected
	Ejected  int
	All      int
	InFlight int64
	// Endpoints are the first of them.
	Endpoints []endpointRow
	Rest      int

	pool *upstream.Pool
}

// endpointRow is one endpoint.
type endpointRow struct {
	Address     string
	Ejected     bool
	InFlight    int64
	Connections int64
	Attempts    uint64
	Failed      uint64
}

func (e endpointRow) state() string {
	if e.Ejected {
		return "ejected"
	}
	return "ready"
}

// maxEndpoints is how many endpoints of a pool are shown.
const maxEndpoints = 50

// pools reads every pool. Those that no key leads to drain.
func (d *Dashboard) pools(keys upstream.Map[int]) map[upstream.Key]*poolRow {
	all := d.Pools.Pools()
	rows := make(map[upstream.Key]*poolRow, len(all))
	for _, p := range all {
		row := &poolRow{Key: p.Key().Target(), Draining: !keys.Has(p.Key()), pool: p}
		for _, e := range p.Endpoints() {
			out := e.Ejected()
			row.All++
			if out {
				row.Ejected++
			} else {
				row.Ready++
			}
			row.InFlight += e.InFlight()
			row.Protocol = e.Protocol().String()
		}
		rows[p.Key()] = row
	}
	return rows
}

// fill reads the endpoints, for a row that is shown.
func (row *poolRow) fill() {
	list := row.pool.Endpoints()
	row.Rest = max(0, len(list)-maxEndpoints)
	for _, e := range list[:len(list)-row.Rest] {
		attempts, failed := e.Attempts()
		row.Endpoints = append(row.Endpoints, endpointRow{e.Address().String(), e.Ejected(), e.InFlight(), e.Connections(), attempts, failed})
	}
}

// state is a pool in a word.
func (row *poolRow) state() string {
	switch {
	case row.Draining:
		return "draining"
	case row.All == 0:
		return "empty"
	case row.Ejected > 0:
		return "ejected"
	}
	return "ready"
}

// pools lists those with trouble first.
func (v *view) pools(rows map[upstream.Key]*poolRow, q query) {
	var found []*poolRow
	for _, row := range rows {
		v.Ejected += row.Ejected
		if row.All == 0 && !row.Draining {
			v.Empty++
		}
		if q.matches(row.Key, row.state()) {
			found = append(found, row)
		}
	}
	rank := map[string]int{"empty": 0, "ejected": 1, "ready": 2, "draining": 3}
	slices.SortFunc(found, func(a, b *poolRow) int {
		return cmp.Or(cmp.Compare(rank[a.state()], rank[b.state()]), cmp.Compare(b.InFlight, a.InFlight), cmp.Compare(a.Key, b.Key))
	})
	v.Pools = cut(q, found, len(rows))
	for _, row := range v.Pools.Rows {
		row.fill()
	}
}

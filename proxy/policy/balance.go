package policy

import (
	"errors"
	"net/http"

	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// Balance is how the endpoint of a request is picked. The zero value leaves it to the pool.
type Balance struct {
	Algorithm upstream.Balance
	// HashBy makes the text that binds a request: those with the same go to the same Size
	// endpoints, whatever Algorithm is. Without parts, requests are not bound and Size is 0.
	HashBy Template
	Size   int
}

var (
	loadBalance = Key{
		Name: "load-balance", Global: true, Value: "round_robin, least_conn, ewma or p2c", Default: "p2c",
		Doc: "how endpoints are picked: one after the other, the one with the fewest requests in flight, or the better of two, which ewma means here as well",
	}
	hashBy = Key{
		Name: "upstream-hash-by", Value: "text with variables",
		Doc: "requests for which it is the same go to the same endpoint, in all replicas, whatever load-balance says. A canary has these keys of its own",
	}
	hashSubset     = Key{Name: "upstream-hash-by-subset", Value: "true or false", Default: "false", Doc: "binds requests to several endpoints instead of one"}
	hashSubsetSize = Key{Name: "upstream-hash-by-subset-size", Value: "1 to 64", Default: "3", Doc: "how many with upstream-hash-by-subset"}
)

// balancing is no handler: each backend of a rule, its own and a canary's, has its own Balance.
var balancing = feature{
	name: "balancing",
	keys: []Key{loadBalance, hashBy, hashSubset, hashSubsetSize},
	read: readBalance,
}

func readBalance(r *reader, s *Set) {
	switch r.oneOf(loadBalance, "", "round_robin", "least_conn", "ewma", "p2c") {
	case "round_robin":
		s.Balance.Algorithm = upstream.RoundRobin
	case "least_conn":
		s.Balance.Algorithm = upstream.LeastLoad
	}
	v, ok := r.text(hashBy)
	if ok {
		t, err := parseTemplate(v, nil)
		if err != nil {
			r.bad(hashBy, "%w", err)
		} else {
			s.Balance.HashBy, s.Balance.Size = t, 1
		}
	}
	switch subset := r.boolean(hashSubset, false); {
	case subset && !ok:
		r.judge(hashSubset, NoEffect, errors.New("no upstream-hash-by is beside it"))
	case subset:
		if size := r.integer(hashSubsetSize, 1, upstream.MaxSubset, 3); s.Balance.Size > 0 {
			s.Balance.Size = size
		}
	case r.has(hashSubsetSize):
		r.judge(hashSubsetSize, NoEffect, errors.New("upstream-hash-by-subset is not true"))
	}
}

// Pick returns how the endpoint for a request is picked. w leads to an Exchange.
func (b *Balance) Pick(w http.ResponseWriter, r *http.Request, rule *Rule) upstream.Pick {
	p := upstream.Pick{Balance: b.Algorithm, Size: b.Size}
	if b.Size > 0 {
		p.Hash = upstream.HashOf(b.HashBy.expand(w, r, rule, nil, nil))
	}
	return p
}

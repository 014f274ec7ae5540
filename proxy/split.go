package proxy

import (
	"net/http"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// split sends some requests of a rule to its canary. One without endpoints gets none: it would
// turn requests that can be served into errors.
type split struct {
	proxy        *Proxy
	main, canary http.Handler
	chooser      *policy.Chooser
	pool         *upstream.Pool // of the canary
	sticky       bool           // a cookie keeps clients on their side of a weight
}

func (p *Proxy) split(rule *Rule, main http.Handler) http.Handler {
	pool := p.Pools.Pool(rule.Canary.Backend)
	canary := p.leading(rule.Canary.Backend, rule.Canary.Secure, rule.Policies)
	facts := factsOf(rule)
	facts.Service, facts.Port = rule.Canary.Backend.Service, rule.Canary.Backend.Port
	s := &split{proxy: p, main: main, canary: balanced(&rule.Canary.Balance, facts, canary), chooser: policy.NewChooser(rule.Canary.Policy), pool: pool}
	if set := rule.Policies; set != nil && set.Affinity != nil {
		s.sticky = !set.Affinity.CanaryByChance
	}
	return s
}

func (s *split) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	chance := s.chooser.Chance(r.Header)
	if s.chooser.Folds(r.Header) {
		s.proxy.depends(policy.QuirkCanaryNames, writerOf(w), r)
	}
	take := chance == policy.Always
	if chance == policy.Weight {
		switch x := exchangeOf(w); {
		case s.sticky && x.pick.Size > 0:
			take = s.chooser.Share(x.pick.Hash)
		case x.rehearsal:
			x.weighed = len(s.pool.Endpoints()) > 0
		default:
			take = s.chooser.Draw()
		}
	}
	if take && len(s.pool.Endpoints()) > 0 {
		s.canary.ServeHTTP(w, r)
		return
	}
	s.main.ServeHTTP(w, r)
}

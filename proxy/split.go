package proxy

import (
	"net/http"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// split sends some requests of a rule to its canary. One without endpoints gets none: it would
// turn requests that can be served into errors.
type split struct {
	main, canary http.Handler
	chooser      *policy.Chooser
	pool         *upstream.Pool // of the canary
}

func (p *Proxy) split(rule *Rule, main http.Handler) http.Handler {
	pool := p.Pools.Pool(rule.Canary.Backend)
	canary := p.leading(rule.Canary.Backend, rule.Canary.Secure, rule.Policies)
	facts := factsOf(rule)
	facts.Service, facts.Port = rule.Canary.Backend.Service, rule.Canary.Backend.Port
	return &split{main, balanced(&rule.Canary.Balance, facts, canary), policy.NewChooser(rule.Canary.Policy), pool}
}

func (s *split) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	chance := s.chooser.Chance(r.Header)
	take := chance == policy.Always
	if chance == policy.Weight {
		if x := exchangeOf(w); x.rehearsal {
			x.weighed = len(s.pool.Endpoints()) > 0
		} else {
			take = s.chooser.Draw()
		}
	}
	if take && len(s.pool.Endpoints()) > 0 {
		s.canary.ServeHTTP(w, r)
		return
	}
	s.main.ServeHTTP(w, r)
}

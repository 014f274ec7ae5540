package proxy

import (
	"net/http"
	"reflect"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
)

// balancer says which endpoint of a backend a request goes to.
type balancer struct {
	balance *policy.Balance
	facts   policy.Rule
	next    http.Handler
}

// balanced puts a balancer in front of next, or nothing where b leaves it to the pool.
func balanced(b *policy.Balance, facts policy.Rule, next http.Handler) http.Handler {
	if reflect.ValueOf(*b).IsZero() {
		return next
	}
	return &balancer{b, facts, next}
}

func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if x := exchangeOf(w); x.pick.Size == 0 { // no cookie binds the client
		x.pick = b.balance.Pick(w, r, &b.facts)
	}
	b.next.ServeHTTP(w, r)
}

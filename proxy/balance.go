package proxy

import (
	"net/http"
	"reflect"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
)

// balancer says which endpoint of a rule's backend a request goes to.
type balancer struct {
	balance *policy.Balance
	facts   policy.Rule
	next    http.Handler
}

// balanced puts a balancer in front of next, or nothing for a rule that leaves it to the pool.
func balanced(rule *Rule, next http.Handler) http.Handler {
	if rule.Policies == nil || reflect.ValueOf(rule.Policies.Balance).IsZero() {
		return next
	}
	return &balancer{&rule.Policies.Balance, factsOf(rule), next}
}

func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	exchangeOf(w).pick = b.balance.Pick(w, r, &b.facts)
	b.next.ServeHTTP(w, r)
}

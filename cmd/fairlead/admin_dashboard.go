package main

import (
	"time"

	"github.com/fairlead-ingress/fairlead/cmd/fairlead/dashboard"
	"github.com/fairlead-ingress/fairlead/k8s"
	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// newDashboard is the page about in. Its parts were made.
func (in *instance) newDashboard() *dashboard.Dashboard {
	return &dashboard.Dashboard{
		Version: buildVersion(), Started: time.Now(),
		Proxy: in.proxy, Pools: in.pools, Certs: in.certs, Rates: in.rates, History: in.history,
		Problems: func() []dashboard.Problem {
			shown := in.shownProblems()
			list := make([]dashboard.Problem, len(shown))
			for i, p := range shown {
				list[i] = dashboard.Problem(p)
			}
			return list
		},
		Ready: in.controller.Ready,
		Role: func() string {
			switch {
			case in.cluster == nil:
				return "serves " + in.manifests
			case in.leading():
				return "leader"
			}
			return "not the leader"
		},
		Synced:  in.synced,
		Explain: in.explainAsked,
	}
}

// note remembers what a change made live.
func (in *instance) note(u k8s.Update) {
	live := dashboard.Live{At: time.Now(), Took: u.Took, Table: u.Table, Certificates: u.Certificates}
	for _, p := range u.Problems {
		if p.Severity == ingress.Error {
			live.Errors++
		} else {
			live.Warnings++
		}
	}
	in.history.Note(live)
}

package ingress

import (
	"errors"

	"github.com/fairlead-ingress/fairlead/router"
)

// ConflictProblems tells the owners of conflicting routes: an Error on each loser and a
// Warning on the winner, unless it is the same Ingress.
func ConflictProblems(conflicts []router.Conflict) []Problem {
	var problems []Problem
	for _, c := range conflicts {
		reason := RouteConflict
		if c.Loser.PathType == router.Default && c.Loser.Host == "" {
			reason = CatchAllConflict
		}
		f := finding{reason: reason, err: errors.New(c.String())}
		loser, winner := originObject(c.Loser.Origin), originObject(c.Winner.Origin)
		problems = append(problems, f.on(loser, ""))
		if winner != loser {
			f.reason = RouteContested
			problems = append(problems, f.on(winner, ""))
		}
	}
	return sorted(listedOfEach(problems))
}

func originObject(o router.Origin) Object {
	return Object{Kind: "Ingress", Namespace: o.Namespace, Name: o.Name}
}

package main

import (
	"time"

	"go.uber.org/zap"

	"github.com/fairlead-ingress/fairlead/k8s"
	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/k8s/manifest"
)

// updated takes note of a change that the controller has completed. It runs on the
// controller's goroutine.
func (in *instance) updated(u k8s.Update) {
	if u.Err != nil {
		in.metrics.UpdateFailed()
		return
	}
	if u.Swapped || u.Endpoints {
		in.metrics.Propagated(time.Since(u.Since))
	}
	in.problems.update(in.shownProblems())
	if !u.Endpoints {
		in.note(u)
		in.memory.tune()
	}
	if in.issuing != nil {
		in.issuing.want(u.Issues)
	}
	in.loaded.Do(func() { close(in.firstTable) })
	if in.cluster != nil {
		in.cluster.updated(u)
	}
}

// fileProblems are those of the manifests' files.
func (in *instance) fileProblems() []ingress.Problem {
	if in.dir == nil {
		return nil
	}
	found := in.dir.Problems()
	problems := make([]ingress.Problem, len(found))
	for i, p := range found {
		problems[i] = p.Problem
	}
	return problems
}

// shownProblems are all that are known now, with their places.
func (in *instance) shownProblems() []shownProblem { return in.place(in.controller.Problems()) }

// place finds the places of problems in the manifests' files. Objects that are not used have
// none but in the file's own Problem.
func (in *instance) place(problems []ingress.Problem) []shownProblem {
	shown := make([]shownProblem, len(problems))
	if in.dir == nil {
		for i, p := range problems {
			shown[i] = show(p, nil)
		}
		return shown
	}
	type text struct {
		object ingress.Object
		reason ingress.Reason
		field  string
		err    string
	}
	textOf := func(p ingress.Problem) text { return text{p.Object, p.Reason, p.Field, p.Err.Error()} }
	files := make(map[text]manifest.Problem)
	for _, p := range in.dir.Problems() {
		files[textOf(p.Problem)] = p
	}
	for i, p := range problems {
		shown[i] = show(p, in.dir.Position)
		if file, ok := files[textOf(p)]; ok {
			shown[i].File, shown[i].Line = file.File, file.Line
		}
	}
	return shown
}

// problemKinds yields reason and severity of every Problem.
func (in *instance) problemKinds(yield func(reason, severity string) bool) {
	for _, p := range in.controller.Problems() {
		if !yield(string(p.Reason), p.Severity.String()) {
			return
		}
	}
}

// expiries yields the hosts that have certificates, and when the first of these ends.
func (in *instance) expiries(yield func(host string, notAfter time.Time) bool) {
	for _, b := range in.certs.Set().Bindings() {
		var first time.Time
		for _, c := range b.Certificates {
			if first.IsZero() || c.Leaf.NotAfter.Before(first) {
				first = c.Leaf.NotAfter
			}
		}
		if !first.IsZero() && !yield(b.Host, first) {
			return
		}
	}
}

// synced is when the objects were last known to be up to date.
func (in *instance) synced() time.Time {
	if in.cluster != nil {
		return in.cluster.contact.Last()
	}
	return time.Now() // a directory is always there to be read
}

func (in *instance) leading() bool { return in.cluster != nil && in.cluster.leading() }

// problemLog logs each Problem when it comes up and when it is gone, but not while it stays.
// One goroutine uses it.
type problemLog struct {
	log   *zap.Logger
	known map[shownProblem]struct{}
}

func (l *problemLog) update(problems []shownProblem) {
	now := make(map[shownProblem]struct{}, len(problems))
	for _, s := range problems {
		key := s
		key.File, key.Line = "", 0 // a Problem that only moved is no news
		if _, known := l.known[key]; !known {
			l.log.Warn("problem", s.fields()...)
		}
		now[key] = struct{}{}
	}
	for s := range l.known {
		if _, still := now[s]; !still {
			l.log.Info("problem is gone", s.fields()...)
		}
	}
	l.known = now
}

func (s shownProblem) fields() []zap.Field {
	fields := []zap.Field{
		zap.String("severity", s.Severity), zap.String("reason", s.Reason), zap.String("object", s.Object), zap.String("text", s.Text),
	}
	if s.Field != "" {
		fields = append(fields, zap.String("field", s.Field))
	}
	if s.File != "" {
		fields = append(fields, zap.String("file", s.File), zap.Int("line", s.Line))
	}
	return fields
}

package k8s

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"runtime/debug"
	"slices"
	"time"

	"go.uber.org/zap"
	netv1 "k8s.io/api/networking/v1"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/router"
	"github.com/fairlead-ingress/fairlead/tls/certs"
)

// plan is a Snapshot with what it was made into.
type plan struct {
	made      time.Time // as the clock said
	snapshot  *ingress.Snapshot
	result    *ingress.Result
	table     *proxy.Table
	conflicts []router.Conflict
}

// outdated reports whether the result would be another by now though no object changed: its time is
// over, or the clock was set back, and what had ended then may not have ended now.
func (p *plan) outdated(now time.Time) bool {
	return now.Round(0).Before(p.made) || !p.result.Until.IsZero() && !now.Before(p.result.Until)
}

// make translates and compiles s. The table is the live one when the configuration is the
// same. The error is a panic.
func (c *Controller) make(s *ingress.Snapshot) (p plan, err error) {
	err = guard(func() {
		p = plan{made: c.now().Round(0), snapshot: s, result: c.translate(s)}
		if c.config && equalConfig(c.plan.result.Config, p.result.Config) {
			p.result.Config = c.plan.result.Config
			p.table, p.conflicts = c.plan.table, c.plan.conflicts
			return
		}
		p.table, p.conflicts = c.Proxy.Compile(p.result.Config)
	})
	return p, err
}

// prepare makes s. Ingresses that panic are found, left out and remembered until they change.
func (c *Controller) prepare(s *ingress.Snapshot) (plan, error) {
	s = c.without(s)
	p, err := c.make(s)
	if err == nil {
		return p, nil
	}
	c.panicked(err)
	for _, ing := range c.poisoned(s, s.Ingresses) {
		c.quarantined[ing] = struct{}{}
		c.Log.Error("ingress left out: translating it panicked", zap.String("ingress", ing.Namespace+"/"+ing.Name))
	}
	return c.make(c.without(s))
}

// without is s less the Ingresses in quarantine. Those that changed or went leave it.
func (c *Controller) without(s *ingress.Snapshot) *ingress.Snapshot {
	if len(c.quarantined) == 0 {
		return s
	}
	kept := make([]*netv1.Ingress, 0, len(s.Ingresses))
	still := make(map[*netv1.Ingress]struct{})
	for _, ing := range s.Ingresses {
		if _, ok := c.quarantined[ing]; ok {
			still[ing] = struct{}{}
		} else {
			kept = append(kept, ing)
		}
	}
	c.quarantined = still
	t := *s
	t.Ingresses = kept
	return &t
}

// poisoned finds the Ingresses of list that panic each by itself, by halving.
func (c *Controller) poisoned(s *ingress.Snapshot, list []*netv1.Ingress) []*netv1.Ingress {
	if len(list) == 0 {
		return nil
	}
	t := *s
	t.Ingresses = list
	if _, err := c.make(&t); err == nil {
		return nil
	}
	if len(list) == 1 {
		return list
	}
	half := len(list) / 2
	return slices.Concat(c.poisoned(s, list[:half]), c.poisoned(s, list[half:]))
}

func (c *Controller) quarantineProblems() []ingress.Problem {
	var problems []ingress.Problem
	for ing := range maps.Keys(c.quarantined) {
		problems = append(problems, ingress.Problem{
			Object:   ingress.Object{Kind: "Ingress", Namespace: ing.Namespace, Name: ing.Name, UID: ing.UID},
			Severity: ingress.Error, Reason: ingress.TranslationPanicked,
			Err: fmt.Errorf("this Ingress made the controller panic and is not served; the controller's log has the stack"),
		})
	}
	return problems
}

// panicError is a recovered panic.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// guard calls f and returns its panic, if any, as an error.
func guard(f func()) (err error) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case *panicError:
			err = v
		default:
			err = &panicError{v, debug.Stack()}
		}
	}()
	f()
	return nil
}

// panicked logs a panic with its stack, each text once.
func (c *Controller) panicked(err error) {
	text := err.Error()
	if _, known := c.panics[text]; known || len(c.panics) >= 100 {
		return
	}
	c.panics[text] = struct{}{}
	stack := ""
	var p *panicError
	if errors.As(err, &p) {
		stack = string(p.stack)
	}
	c.Log.Error("update panicked", zap.Error(err), zap.String("stack", stack))
}

// mergeProblems joins lists of Problems to one that is sorted and without duplicates.
func mergeProblems(lists ...[]ingress.Problem) []ingress.Problem {
	all := slices.Concat(lists...)
	slices.SortFunc(all, ingress.Problem.Compare)
	return slices.CompactFunc(all, equalProblem)
}

func equalProblem(p, q ingress.Problem) bool {
	return p.Compare(q) == 0 && p.Object.UID == q.Object.UID
}

// equalConfig reports whether two configurations are the same, host by host. Hosts and rules
// that are the same pointer, which is nearly all of them, cost nothing.
func equalConfig(a, b proxy.Config) bool {
	return a.DefaultBackend == b.DefaultBackend && reflect.DeepEqual(a.DefaultPolicies, b.DefaultPolicies) &&
		reflect.DeepEqual(a.Trust, b.Trust) && reflect.DeepEqual(a.Listener, b.Listener) &&
		(sameList(a.Hosts, b.Hosts) || slices.EqualFunc(a.Hosts, b.Hosts, func(g, h *proxy.HostRules) bool {
			return g == h || g.Host == h.Host && slices.Equal(g.Ciphers, h.Ciphers) && reflect.DeepEqual(g.Passthrough, h.Passthrough) &&
				slices.EqualFunc(g.Rules, h.Rules, func(r, s *proxy.Rule) bool { return r == s || reflect.DeepEqual(r, s) })
		}))
}

// sameList reports whether a and b are the same memory.
func sameList[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// equalCertificates compares certificates as pointers: each Secret is parsed once.
func equalCertificates(a, b *ingress.Result) bool {
	return a.DefaultCertificate == b.DefaultCertificate &&
		(sameList(a.Certificates, b.Certificates) || slices.EqualFunc(a.Certificates, b.Certificates, func(x, y certs.Binding) bool {
			return x.Host == y.Host && x.Reason == y.Reason && x.Source == y.Source && slices.Equal(x.Certificates, y.Certificates)
		}))
}

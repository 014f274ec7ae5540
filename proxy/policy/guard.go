package policy

import "reflect"

// GuardsApart returns the names of the features by which the annotations of a canary guard access
// otherwise than the rules that it is an alternative for. Those rules are what a request passes, so
// a canary may ask for less than they do and for nothing else. What it has of the ConfigMap alone
// it has not asked for: the rules have that too, or say otherwise themselves. A nil main has no
// policies.
func GuardsApart(canary, main *Set, annotations map[string]string) []string {
	if main == nil {
		main = &Set{}
	}
	var apart []string
	for i := range chain {
		f := &chain[i]
		if f.guard == nil || !f.asked(annotations) {
			continue
		}
		if want := f.guard(canary); guards(want) && !reflect.DeepEqual(want, f.guard(main)) {
			apart = append(apart, f.name)
		}
	}
	return apart
}

// guards reports whether what a feature's guard returned asks for anything.
func guards(demand any) bool { return demand != nil && !reflect.ValueOf(demand).IsZero() }

// asked reports whether annotations have a key of the feature.
func (f *feature) asked(annotations map[string]string) bool {
	for _, k := range f.keys {
		if k.GlobalOnly {
			continue
		}
		for _, name := range append([]string{k.Name}, k.Aliases...) {
			for _, prefix := range [...]string{Prefix, NginxPrefix} {
				if _, has := annotations[prefix+name]; has {
					return true
				}
			}
		}
	}
	return false
}

// demand is one of the guards that satisfy speaks of, with whether another may stand in for it.
type demand struct {
	of          any
	oneIsEnough bool
}

// demand makes the guard of a feature of what it has in the Set, for which nil is nothing.
func (s *Set) demand(of any) any {
	if !guards(of) {
		return nil
	}
	return demand{of, s.oneIsEnough()}
}

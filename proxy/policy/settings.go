package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Global is what the controller's ConfigMap says of the instance as a whole, and not of single
// rules. The zero value is an instance without a ConfigMap. It is never changed.
type Global struct {
	Trust    Trust
	Listener Listener
	// Refused are the findings that close every rule: what the ConfigMap has to guard all of
	// them and that is not built. They are for Input.
	Refused []Finding
	// proxyProtocol is for BehindBalancer; nil without a ConfigMap.
	proxyProtocol *ProxyProtocol
}

// part is a piece of Global: its keys, and how they are read. All keys are GlobalOnly.
type part struct {
	name string
	keys []Key
	// read reports every mistake through the reader, and leaves the zero value where nothing
	// was asked for.
	read func(r *reader, g *Global)
}

// parts is every piece of Global: the only registry. What a rule can have is in chain.
var parts = [...]part{trust, listener}

// ParseConfig makes the Global of a ConfigMap and judges all of it: the keys that are read for
// the instance, those that are defaults of rules, and those that are neither. The findings are
// sorted by key and have it as their Setting. What the rules get of it is for Parse.
func ParseConfig(config map[string]string, configMap func(namespace, name string) map[string]string) (Global, []Finding) {
	var g Global
	r := newReader(&Input{Config: config, ConfigMap: configMap, Profile: Nginx}, new(Set))
	for i := range chain {
		if chain[i].read != nil {
			chain[i].read(r, r.set)
		}
	}
	for _, p := range parts {
		p.read(r, &g)
	}
	for _, name := range slices.Sorted(maps.Keys(config)) {
		k, ok := unread(name, config[name])
		if !ok {
			continue
		}
		f := k.finding(name)
		r.findings = append(r.findings, f)
		if f.Outcome == Refused {
			g.Refused = append(g.Refused, f)
		}
	}
	slices.SortStableFunc(r.findings, func(a, b Finding) int { return strings.Compare(a.Setting, b.Setting) })
	return g, slices.CompactFunc(r.findings, func(a, b Finding) bool { return a.Setting == b.Setting && a.Err.Error() == b.Err.Error() })
}

// ParseDefault makes the policies of requests that no rule matches: what the ConfigMap says of
// whom the instance serves nothing, of the names of fields, and of the pages of errors. Refused has
// what closes every rule, and a bad value of these. All else is of rules. Nil: there is nothing. Annotations must be empty.
func ParseDefault(in Input) *Set {
	var s Set
	r := newReader(&in, &s)
	blocking.read(r, &s)
	fieldNames.read(r, &s)
	errorPages.read(r, &s)
	r.refuseSettings()
	if len(s.Refused) == 0 && s.Blocking == nil && s.FieldNames == (FieldNames{}) && len(s.Errors.Codes) == 0 {
		return nil
	}
	return &Set{Refused: s.Refused, Blocking: s.Blocking, FieldNames: s.FieldNames, Errors: s.Errors}
}

// unread returns how an entry of the ConfigMap is judged that nothing reads. False: it is read,
// or asks for nothing.
func unread(name, value string) (key, bool) {
	for _, k := range Settings() {
		if k.Feature != "" && (k.Name == name || slices.Contains(k.Aliases, name)) {
			return key{}, false
		}
	}
	i, ok := slices.BinarySearchFunc(settings[:], name, func(k key, name string) int { return strings.Compare(k.name, name) })
	if !ok {
		return guessSetting(name), true
	}
	k := settings[i]
	off := k.isOff(value)
	switch k.name {
	case "http-snippet", "server-snippet", "location-snippet":
		k = k.snippet(value)
	}
	return k, !off
}

// refuseSettings lets the rules fail closed for Input.Refused.
func (r *reader) refuseSettings() {
	for _, f := range r.Refused {
		r.set.Refused = append(r.set.Refused, settingName(f.Setting))
		r.findings = append(r.findings, f)
	}
}

// settingName is what a key of the ConfigMap is called among annotations.
func settingName(name string) string { return "ConfigMap key " + name }

// finding is the key's judgement of an entry of the ConfigMap.
func (k key) finding(name string) Finding {
	var err error
	switch k.outcome {
	case NoEffect:
		err = fmt.Errorf("key %s has no effect here: %s", name, k.doc)
	case Unknown:
		err = fmt.Errorf("key %s is not known: %s", name, k.doc)
	case Refused:
		err = fmt.Errorf("key %s %s: every request is answered 503", name, k.refusal())
	default:
		err = fmt.Errorf("key %s (%s) is not supported: served without it", name, k.doc)
	}
	return Finding{Setting: name, Outcome: k.outcome, Err: err}
}

// guessSetting judges a key that no table has, as guess does. A misspelled guard of the ConfigMap
// closes every rule, as a bad value of that guard does. Among keys that are as near, guards go first.
func guessSetting(name string) key {
	lower := strings.ToLower(name)
	limit, hint, misspelled := max(2, len(name)/4)+1, "no key has a similar name", false
	for _, k := range Settings() {
		d, guard := Distance(lower, k.Name), k.Class == Guard || k.Outcome == Refused
		if d < limit || d == limit && guard && !misspelled && d <= 2 {
			limit, hint, misspelled = d, "did you mean "+k.Name+"?", guard && d <= 2
		}
	}
	k := guess(name)
	k.doc = hint
	if misspelled {
		k.outcome = Refused
	}
	return k
}

// Settings returns all keys of the ConfigMap that are known, by name. Feature is empty for those
// that nothing reads.
func Settings() []KeyDoc {
	var all []KeyDoc
	for _, f := range chain {
		for _, k := range f.keys {
			if k.Global || k.GlobalOnly {
				all = append(all, KeyDoc{Key: k, Feature: f.name})
			}
		}
	}
	for _, p := range parts {
		for _, k := range p.keys {
			all = append(all, KeyDoc{Key: k, Feature: p.name})
		}
	}
	taken := make(map[string]bool)
	for _, k := range all {
		taken[k.Name] = true
		for _, a := range k.Aliases {
			taken[a] = true
		}
	}
	for _, k := range settings {
		if !taken[k.name] {
			all = append(all, KeyDoc{Key: Key{Name: k.name, GlobalOnly: true, Doc: k.doc}, Outcome: k.outcome})
		}
	}
	slices.SortFunc(all, func(a, b KeyDoc) int { return strings.Compare(a.Name, b.Name) })
	return all
}

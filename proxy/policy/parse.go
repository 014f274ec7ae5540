package policy

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// The prefixes under which keys are read. All keys exist under both, but for those that are Own.
const (
	Prefix      = "fairlead.dev/"
	NginxPrefix = "nginx.ingress.kubernetes.io/"
)

// Outcome is what becomes of the rules of an Ingress because of one annotation.
type Outcome uint8

const (
	// LeftOut: the rules serve without it.
	LeftOut Outcome = iota + 1
	// NoEffect: the rules serve, and what the annotation tunes does not exist here.
	NoEffect
	// Unknown: there is no such key; the rules serve.
	Unknown
	// OtherHosts: the rules serve, but requests to hosts that only the annotation names
	// are not answered as it says.
	OtherHosts
	// Unroutable: the annotation changes what the rules lead to; they answer 503.
	Unroutable
	// Dropped: the rules would do harm as ordinary ones; they are not served at all.
	Dropped
	// Refused: the annotation guards access; the rules answer 503.
	Refused
	// Invalid: the value is not one that the key takes; the rules serve without it.
	Invalid
)

func (o Outcome) String() string {
	switch o {
	case LeftOut:
		return "left out"
	case NoEffect:
		return "no effect"
	case Unknown:
		return "unknown"
	case OtherHosts:
		return "other hosts left out"
	case Unroutable:
		return "503"
	case Dropped:
		return "not served"
	case Refused:
		return "503, fails closed"
	case Invalid:
		return "left out, not valid"
	}
	return "Outcome(?)"
}

// Finding is an annotation, or an entry of the ConfigMap, that is not honoured as it is written.
type Finding struct {
	Annotation string // the full name, as in the object; empty for a Setting
	Setting    string // the key, for an entry of the ConfigMap
	Outcome    Outcome
	Err        error // never nil; it does not repeat the annotation's value
}

// Parse makes the policies of one Ingress. It reads the annotations with one of our prefixes;
// all others are somebody else's. Where a key is under both prefixes, our own counts. The
// findings are sorted by annotation. A value that switches something off that we do not have is
// honoured and makes no finding.
//
// What only a host of the Ingress has is left to the caller: without TLS a Set's SSLRedirect
// means nothing unless it is for always.
func Parse(in Input) (Set, []Finding) {
	s := Set{}
	r := newReader(&in, &s)
	for _, name := range slices.Sorted(maps.Keys(in.Annotations)) {
		r.sort(name, in.Annotations[name])
	}
	for i := range chain {
		if chain[i].read != nil {
			chain[i].read(r, &s)
		}
	}
	r.refusePassthrough(&s)
	r.refuseSettings()
	// What is wrong with the ConfigMap is said there, but for what closes these rules.
	r.findings = slices.DeleteFunc(r.findings, func(f Finding) bool { return f.Setting != "" && f.Outcome != Refused && f.Outcome != Unroutable })
	slices.SortStableFunc(r.findings, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.Annotation, b.Annotation), strings.Compare(a.Setting, b.Setting))
	})
	slices.Sort(s.Refused)
	s.Refused = slices.Compact(s.Refused)
	return s, r.findings
}

// sort puts an annotation where the features find it, or judges it if it is of none.
func (r *reader) sort(name, value string) {
	key, foreign := strings.CutPrefix(name, NginxPrefix)
	if ok := foreign; !ok {
		if key, ok = strings.CutPrefix(name, Prefix); !ok {
			return
		}
	}
	feature, ok := supported(key)
	own := ok && feature.Own && foreign
	if ok && !own {
		if _, ours := r.values[key]; !ours { // our prefix is first in order
			r.values[key] = annotation{name: name, value: value}
		}
		return
	}
	k, ok := lookup(key)
	switch {
	case own:
		k = keyOfOurs(key)
	case !ok:
		k = guess(key)
	case k.isOff(value):
		return
	case key == "configuration-snippet" || key == "server-snippet":
		k = k.snippet(value)
	}
	r.findings = append(r.findings, Finding{Annotation: name, Outcome: k.outcome, Err: k.explain(name)})
	switch k.outcome {
	case Refused:
		r.set.Refused = append(r.set.Refused, name)
	case Unroutable:
		r.set.Unroutable = true
	}
}

// keyOfOurs is what a key comes to that ingress-nginx never had, under its prefix.
func keyOfOurs(name string) key {
	return key{name: name, outcome: Unknown, doc: "it is read under " + Prefix + " alone"}
}

func (k key) explain(annotation string) error {
	switch k.outcome {
	case LeftOut:
		if strings.HasSuffix(k.name, "-snippet") {
			return fmt.Errorf("annotation %s is never executed and access does not depend on it: served without it; %s", annotation, k.doc)
		}
		return fmt.Errorf("annotation %s is not supported: served without it", annotation)
	case NoEffect:
		return fmt.Errorf("annotation %s has no effect here: %s", annotation, k.doc)
	case Unknown:
		return fmt.Errorf("annotation %s is not known: %s", annotation, k.doc)
	case OtherHosts:
		return fmt.Errorf("annotation %s is not supported: the hosts it names are not served", annotation)
	case Dropped:
		return fmt.Errorf("annotation %s is not supported: nothing of this object is served, as ordinary rules would take all requests", annotation)
	case Refused:
		return fmt.Errorf("annotation %s %s: every request is answered 503", annotation, k.refusal())
	}
	return fmt.Errorf("annotation %s changes the routing and is not supported: every request is answered 503", annotation)
}

func (k key) refusal() string {
	if k.name == "" {
		return "is not known and may guard access; " + k.doc
	}
	return "(" + k.doc + ") guards access and is not supported"
}

// isOff reports whether value asks for nothing. An empty value does so only where the table
// says it: an empty allow list is no permission.
func (k key) isOff(value string) bool {
	value = strings.TrimSpace(value)
	for off := range strings.FieldsSeq(k.off) {
		switch off {
		case "false", "true":
			want := off == "true"
			if b, err := strconv.ParseBool(value); err == nil && b == want {
				return true
			}
		case "''":
			if value == "" {
				return true
			}
		case "#":
			if onlyComments(value) {
				return true
			}
		case "0.0.0.0/0,::/0":
			if everyAddress(value) {
				return true
			}
		default:
			if strings.EqualFold(value, off) {
				return true
			}
		}
	}
	return false
}

// onlyComments reports whether every line of an nginx snippet is blank or a comment. A
// carriage return ends a line here, for what nginx would make of it is not worth a guess.
func onlyComments(snippet string) bool {
	for line := range strings.FieldsFuncSeq(snippet, func(r rune) bool { return r == '\n' || r == '\r' }) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			return false
		}
	}
	return true
}

// everyAddress reports whether a list of ranges is well-formed and has the whole of IPv4 and
// of IPv6 in it.
func everyAddress(list string) bool {
	var v4, v6 bool
	for entry := range strings.SplitSeq(list, ",") {
		p, err := netip.ParsePrefix(strings.TrimSpace(entry))
		if err != nil {
			return false
		}
		if p.Bits() == 0 {
			v4, v6 = v4 || p.Addr().Is4(), v6 || p.Addr().Is6()
		}
	}
	return v4 && v6
}

package policy

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// The prefixes under which keys are read. All keys exist under both.
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
	// Root: requests for exactly "/" must not reach the backend and are answered 503; the
	// rest serves.
	Root
	// Unroutable: the annotation changes what the rules lead to; they answer 503.
	Unroutable
	// Dropped: the rules would do harm as ordinary ones; they are not served at all.
	Dropped
	// Refused: the annotation guards access; the rules answer 503.
	Refused
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
	case Root:
		return "503 for /"
	case Unroutable:
		return "503"
	case Dropped:
		return "not served"
	case Refused:
		return "503, fails closed"
	}
	return "Outcome(?)"
}

// Finding is an annotation that is not honoured as it is written.
type Finding struct {
	Annotation string // the full name, as in the object
	Outcome    Outcome
	Err        error // never nil; it does not repeat the annotation's value
}

// Parse reads the annotations of one Ingress: those with one of our prefixes, all others
// are somebody else's. The findings are sorted by annotation. A value that switches
// something off that we do not have is honoured and makes no finding.
func Parse(annotations map[string]string) (Set, []Finding) {
	var set Set
	var findings []Finding
	for _, name := range slices.Sorted(maps.Keys(annotations)) {
		f, found := parse(name, annotations[name])
		if !found {
			continue
		}
		findings = append(findings, f)
		if f.Outcome == Refused {
			set.Refused = append(set.Refused, name)
		}
	}
	return set, findings
}

func parse(annotation, value string) (Finding, bool) {
	name, ok := strings.CutPrefix(annotation, NginxPrefix)
	if !ok {
		if name, ok = strings.CutPrefix(annotation, Prefix); !ok {
			return Finding{}, false
		}
	}
	k, ok := lookup(name)
	switch {
	case !ok:
		k = guess(name)
	case k.isOff(value):
		return Finding{}, false
	}
	return Finding{Annotation: annotation, Outcome: k.outcome, Err: k.explain(annotation)}, true
}

func (k key) explain(annotation string) error {
	switch k.outcome {
	case LeftOut:
		return fmt.Errorf("annotation %s is not supported: served without it", annotation)
	case NoEffect:
		return fmt.Errorf("annotation %s has no effect here: %s", annotation, k.doc)
	case Unknown:
		return fmt.Errorf("annotation %s is not known: %s", annotation, k.doc)
	case OtherHosts:
		return fmt.Errorf("annotation %s is not supported: the hosts it names are not served", annotation)
	case Root:
		return fmt.Errorf("annotation %s is not supported: requests for / are answered 503", annotation)
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

package policy

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Input is what the policies of an Ingress are made of.
type Input struct {
	Annotations map[string]string
	Profile     Profile
	Quirks      Switches // of the operator
	Namespace   string   // of the Ingress
	// Config is the controller's ConfigMap; nil is empty.
	Config map[string]string
	// Passthrough says that connections may be passed on undecrypted.
	Passthrough bool
	// Refused is what ParseConfig has found of it.
	Refused []Finding
	// Secret returns the data of a Secret; nil when there is no such Secret or it may not
	// be read.
	Secret func(namespace, name string) map[string][]byte
	// ConfigMap returns the data of a ConfigMap that Config names; nil when there is none.
	ConfigMap func(namespace, name string) map[string]string
	// OwnConfigMap returns the data of a ConfigMap of Namespace that an annotation names; nil
	// when there is none, or it may not be read.
	OwnConfigMap func(name string) map[string]string
	// HasDefaultBackend says that the operator has a Service for what no rule matches.
	HasDefaultBackend bool
}

func newReader(in *Input, s *Set) *reader {
	if in.Secret == nil {
		in.Secret = func(string, string) map[string][]byte { return nil }
	}
	if in.ConfigMap == nil {
		in.ConfigMap = func(string, string) map[string]string { return nil }
	}
	if in.OwnConfigMap == nil {
		in.OwnConfigMap = func(string) map[string]string { return nil }
	}
	return &reader{Input: in, values: map[string]annotation{}, set: s, quirks: in.Quirks.Of(in.Profile)}
}

// reader gives the features their values and keeps what is wrong with them.
type reader struct {
	*Input
	values   map[string]annotation // by the name of the key
	findings []Finding
	set      *Set
	quirks   QuirkSet // of the profile, as they are switched
	// slashRead says that slashKept, what keepsSlash returns, is known.
	slashRead, slashKept bool
}

// annotation is a value with the name that the user wrote, or an entry of the ConfigMap.
type annotation struct {
	name, value string
	setting     bool // name is the key in the ConfigMap
}

// find returns the annotation of a key, else the ConfigMap's entry if the key has one.
func (r *reader) find(k Key) (annotation, bool) {
	if !k.GlobalOnly {
		for _, name := range append([]string{k.Name}, k.Aliases...) {
			if a, ok := r.values[name]; ok {
				return a, true
			}
		}
	}
	return r.setting(k)
}

// setting returns the ConfigMap's entry of a key.
func (r *reader) setting(k Key) (annotation, bool) {
	if k.Global || k.GlobalOnly {
		for _, name := range append([]string{k.Name}, k.Aliases...) {
			if v, ok := r.Config[name]; ok {
				return annotation{name, v, true}, true
			}
		}
	}
	return annotation{}, false
}

// has reports whether the Ingress itself has an annotation of the key.
func (r *reader) has(k Key) bool {
	a, ok := r.find(k)
	return ok && !a.setting
}

// fall returns the key without its annotation, for a value that is left out: then the ConfigMap's
// entry counts, if it has one.
func (r *reader) fall(k Key) (Key, bool) {
	_, ok := r.setting(k)
	fall := ok && r.has(k) && k.Class == Tuning
	k.GlobalOnly = true
	return k, fall
}

// bad reports a value of k that cannot be honoured. What becomes of it is said by the class.
func (r *reader) bad(k Key, format string, args ...any) {
	r.judge(k, k.Class.outcome(), fmt.Errorf(format, args...))
}

// maxFinding bounds the text about a value, which may be long.
const maxFinding = 1000

func (r *reader) judge(k Key, o Outcome, err error) {
	if text := err.Error(); len(text) > maxFinding {
		err = errors.New(strings.ToValidUTF8(text[:maxFinding], "") + "...")
	}
	a, ok := r.find(k)
	if !ok {
		a.name = NginxPrefix + k.Name
		if r.Profile == Spec {
			a.name = Prefix + k.Name
		}
	}
	name, refused, f := "annotation "+a.name, a.name, Finding{Annotation: a.name, Outcome: o}
	if a.setting {
		name, refused, f = "key "+a.name, settingName(a.name), Finding{Setting: a.name, Outcome: o}
	}
	switch o {
	case Refused:
		r.set.Refused = append(r.set.Refused, refused)
		f.Err = fmt.Errorf("%s: %w: every request is answered 503", name, err)
	case Unroutable:
		r.set.Unroutable = true
		f.Err = fmt.Errorf("%s: %w: every request is answered 503", name, err)
	case Dropped:
		f.Err = fmt.Errorf("%s: %w: nothing of this object is served", name, err)
	case NoEffect:
		f.Err = fmt.Errorf("%s has no effect here: %w", name, err)
	default:
		f.Err = fmt.Errorf("%s: %w: served without it", name, err)
	}
	r.findings = append(r.findings, f)
}

// text returns the value without the spaces around it. False: there is none, or it is empty.
func (r *reader) text(k Key) (string, bool) {
	a, ok := r.find(k)
	v := strings.TrimSpace(a.value)
	return v, ok && v != ""
}

// boolean reads true or false.
func (r *reader) boolean(k Key, or bool) bool {
	if b, ok := r.given(k); ok {
		return b
	}
	return or
}

// given reads true or false; ok is false where there is neither.
func (r *reader) given(k Key) (b, ok bool) {
	v, ok := r.text(k)
	if !ok {
		return false, false
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		r.bad(k, "want true or false, got %.80q", v)
		if k, ok := r.fall(k); ok {
			return r.given(k)
		}
		return false, false
	}
	return b, true
}

// byQuirk reports whether the Ingress has the quirk, and notes that what is read depends on it.
func (r *reader) byQuirk(q Quirk) bool {
	if r.quirks.Has(q) {
		r.set.Quirks = r.set.Quirks.With(q)
		return true
	}
	return false
}

// integer reads a number from low to high.
func (r *reader) integer(k Key, low, high, or int) int {
	if n, ok := r.number(k, low, high); ok {
		return n
	}
	return or
}

// number reads a number from low to high; ok is false where there is none.
func (r *reader) number(k Key, low, high int) (n int, ok bool) {
	v, ok := r.text(k)
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < low || n > high {
		least := low
		if low == math.MinInt32 {
			least = 0 // negative ones count as that, which is nothing to recommend
		}
		r.bad(k, "want a number from %d to %d, got %.80q", least, high, v)
		if k, ok := r.fall(k); ok {
			return r.number(k, low, high)
		}
		return 0, false
	}
	return n, true
}

// oneOf reads a word of a closed set, in any case.
func (r *reader) oneOf(k Key, or string, words ...string) string {
	v, ok := r.text(k)
	if !ok {
		return or
	}
	for _, w := range words {
		if strings.EqualFold(v, w) {
			return w
		}
	}
	r.bad(k, "want one of %s, got %.80q", strings.Join(words, ", "), v)
	if k, ok := r.fall(k); ok {
		return r.oneOf(k, or, words...)
	}
	return or
}

// list reads entries separated by commas; empty ones are left out.
func (r *reader) list(k Key) []string {
	v, _ := r.text(k)
	var entries []string
	for e := range strings.SplitSeq(v, ",") {
		if e = strings.TrimSpace(e); e != "" {
			entries = append(entries, e)
		}
	}
	return entries
}

// prefixes reads a list of CIDRs and addresses. All that are wrong are reported at once.
func (r *reader) prefixes(k Key) ([]netip.Prefix, bool) {
	var good []netip.Prefix
	var wrong []string
	for _, e := range r.list(k) {
		p, err := parsePrefix(e)
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%.80q", e))
			continue
		}
		good = append(good, p)
	}
	if len(wrong) > 0 {
		r.bad(k, "want addresses or CIDRs, got %.400s", strings.Join(wrong, ", "))
		return nil, false
	}
	slices.SortFunc(good, netip.Prefix.Compare)
	return slices.Compact(good), true
}

// parsePrefix reads an address as the prefix that has it alone, and a prefix without the bits of
// the host.
func parsePrefix(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("want an address or a CIDR, got %.80q", s)
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96) // as clients' addresses are
	}
	return p.Masked(), nil
}

// size reads nginx's sizes: bytes, or with k, m, g. ok is false where there is none.
func (r *reader) size(k Key) (n int64, ok bool) {
	v, ok := r.text(k)
	if !ok {
		return 0, false
	}
	unit := int64(1)
	digits := v
	switch v[len(v)-1] {
	case 'k', 'K':
		unit, digits = 1<<10, v[:len(v)-1]
	case 'm', 'M':
		unit, digits = 1<<20, v[:len(v)-1]
	case 'g', 'G':
		unit, digits = 1<<30, v[:len(v)-1]
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > 1<<43/unit {
		r.bad(k, "want a size such as 512, 8k, 1m or 2g, got %.80q", v)
		if k, ok := r.fall(k); ok {
			return r.size(k)
		}
		return 0, false
	}
	return n * unit, true
}

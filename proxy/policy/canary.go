package policy

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Canary says which requests for the rules of another Ingress go to the backends of this one.
// The header is asked first, then the cookie, then the weight. Without any, none do.
type Canary struct {
	Header  string // canonical; empty for none
	Value   string // of the header that chooses the canary; empty: "always" does, and "never" the other
	Pattern string // matches such values, where Value is empty; empty for none
	Cookie  string // whose value "always" chooses the canary, and "never" the other; empty for none
	// FoldCookie: the case of the cookie's name has no meaning, as with nginx's variables.
	// FoldHeader says that Header would be another if _ had not come to mean -.
	FoldCookie, FoldHeader bool
	// Weight of Total requests go to the canary. Total is 0 where there is no weight.
	Weight, Total int
}

var (
	canaryKey = Key{
		Name: "canary", Class: Routing, Value: "true or false", Default: "false",
		Doc: "the backends of this Ingress are alternatives for the same hosts, paths and path types of another one in the namespace, whose other annotations count",
	}
	canaryHeader  = Key{Name: "canary-by-header", Value: "name", Doc: "header whose value always chooses the canary, and never the other; other values leave it to canary-by-cookie"}
	canaryValue   = Key{Name: "canary-by-header-value", Value: "text", Doc: "value of canary-by-header that chooses the canary, in place of always and never"}
	canaryPattern = Key{Name: "canary-by-header-pattern", Value: "regular expression", Doc: "matches values of canary-by-header that choose the canary, unless canary-by-header-value is set"}
	canaryCookie  = Key{Name: "canary-by-cookie", Value: "name", Doc: "cookie whose value always chooses the canary, and never the other; other values leave it to canary-weight"}
	canaryWeight  = Key{Name: "canary-weight", Value: "number", Default: "0", Doc: "how many requests of canary-weight-total go to the canary"}
	canaryTotal   = Key{Name: "canary-weight-total", Value: "number", Default: "100", Doc: "what canary-weight is a share of; less than 100 counts as 100"}
)

// canary is no handler: which rule a canary belongs to is known when all have been read.
var canary = feature{
	name: "canary",
	keys: []Key{canaryKey, canaryHeader, canaryValue, canaryPattern, canaryCookie, canaryWeight, canaryTotal},
	read: readCanary,
}

var errNoCanary = errors.New("canary is not true")

func readCanary(r *reader, s *Set) {
	on := false
	if v, ok := r.text(canaryKey); ok || r.has(canaryKey) {
		var err error
		if on, err = strconv.ParseBool(v); err != nil {
			// As an ordinary Ingress it could take all requests.
			r.judge(canaryKey, Dropped, errors.New("want true or false, got "+strconv.Quote(v)))
			return
		}
	}
	if !on {
		for _, k := range []Key{canaryHeader, canaryValue, canaryPattern, canaryCookie, canaryWeight, canaryTotal} {
			if r.has(k) {
				r.judge(k, NoEffect, errNoCanary)
			}
		}
		return
	}
	c := &Canary{FoldCookie: r.quirks.Has(QuirkCanaryNames)}
	s.Canary = c
	if name, ok := r.text(canaryHeader); ok {
		if !httpguts.ValidHeaderFieldName(name) {
			r.bad(canaryHeader, "want the name of a header, got %.80q", name)
		} else {
			if r.quirks.Has(QuirkCanaryNames) && strings.Contains(name, "_") {
				name, c.FoldHeader = strings.ReplaceAll(name, "_", "-"), true // nginx's variables know no difference
			}
			c.Header = http.CanonicalHeaderKey(name)
		}
	}
	for _, k := range []Key{canaryValue, canaryPattern} {
		if r.has(k) && c.Header == "" {
			r.judge(k, NoEffect, errors.New("no canary-by-header is beside it"))
		}
	}
	if c.Header != "" {
		c.Value, _ = r.text(canaryValue)
		if pattern, ok := r.text(canaryPattern); ok && c.Value == "" {
			if _, err := regexp.Compile(pattern); err != nil {
				// Without it, "always" would choose the canary, which nobody asked for.
				r.bad(canaryPattern, "want a regular expression: %w: no value of the header chooses the canary", err)
				c.Header = ""
			} else {
				c.Pattern = pattern
			}
		}
	}
	if name, ok := r.text(canaryCookie); ok {
		if !httpguts.ValidHeaderFieldName(name) { // the same characters
			r.bad(canaryCookie, "want the name of a cookie, got %.80q", name)
		} else {
			c.Cookie = name
		}
	}
	c.Weight = r.integer(canaryWeight, 0, 1<<31-1, 0)
	if c.Weight > 0 {
		c.Total = max(100, r.integer(canaryTotal, 0, 1<<31-1, 100))
	}
}

// Chance is how a Canary decides about a request.
type Chance uint8

// What a Canary can decide.
const (
	Never  Chance = iota // to the other backend
	Always               // to the canary
	Weight               // to the canary, for Weight of Total requests
)

// Chooser decides by a Canary. It is made once for a rule.
type Chooser struct {
	canary  *Canary
	pattern *regexp.Regexp
}

// NewChooser returns the Chooser of c.
func NewChooser(c *Canary) *Chooser {
	ch := &Chooser{canary: c}
	if c.Pattern != "" {
		ch.pattern, _ = regexp.Compile(c.Pattern) // readCanary has tried it; a nil one matches nothing
	}
	return ch
}

// Chance is what the headers of a request come to.
func (ch *Chooser) Chance(h http.Header) Chance {
	c := ch.canary
	if values := h[c.Header]; c.Header != "" && len(values) > 0 {
		v := values[0]
		switch {
		case c.Value != "":
			if v == c.Value {
				return Always
			}
		case c.Pattern != "":
			if ch.pattern != nil && ch.pattern.MatchString(v) {
				return Always
			}
		case v == "always":
			return Always
		case v == "never":
			return Never
		}
	}
	if c.Cookie != "" {
		switch cookieOf(h, c.Cookie, c.FoldCookie) {
		case "always":
			return Always
		case "never":
			return Never
		}
	}
	switch {
	case c.Weight <= 0 || c.Total <= 0:
		return Never
	case c.Weight >= c.Total:
		return Always
	}
	return Weight
}

// Folds reports whether what Chance has come to depends on QuirkCanaryNames.
func (ch *Chooser) Folds(h http.Header) bool {
	c := ch.canary
	if c.FoldHeader && len(h[c.Header]) > 0 {
		return true
	}
	return c.FoldCookie && c.Cookie != "" && cookieOf(h, c.Cookie, true) != cookieOf(h, c.Cookie, false)
}

// Share decides by the weight for a client, always alike while the weight stays. One that grows
// takes clients from the other side and gives none back.
func (ch *Chooser) Share(hash uint64) bool {
	return int(hash>>33)%ch.canary.Total < ch.canary.Weight // not the bits that rank endpoints most
}

// Draw decides by the weight.
func (ch *Chooser) Draw() bool { return rand.IntN(ch.canary.Total) < ch.canary.Weight }

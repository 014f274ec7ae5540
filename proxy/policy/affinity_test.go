package policy

import (
	"reflect"
	"regexp"
	"testing"
)

func TestReadAffinity(t *testing.T) {
	plain := func(edit func(*Affinity)) *Affinity {
		a := &Affinity{Name: "INGRESSCOOKIE"}
		if edit != nil {
			edit(a)
		}
		return a
	}
	for name, tt := range map[string]struct {
		keys     []string // and values, without prefix
		want     *Affinity
		outcomes []Outcome
	}{
		"none":           {},
		"without":        {keys: []string{"session-cookie-name", "x"}, outcomes: []Outcome{NoEffect}},
		"unknown type":   {keys: []string{"affinity", "ip"}, outcomes: []Outcome{Invalid}},
		"case of type":   {keys: []string{"affinity", "Cookie;"}, outcomes: []Outcome{Invalid}},
		"empty":          {keys: []string{"affinity", ""}},
		"defaults":       {keys: []string{"affinity", "cookie"}, want: plain(nil)},
		"name":           {keys: []string{"affinity", "cookie", "session-cookie-name", "s"}, want: plain(func(a *Affinity) { a.Name = "s" })},
		"path, domain":   {keys: []string{"affinity", "cookie", "session-cookie-path", "/a", "session-cookie-domain", "a.example"}, want: plain(func(a *Affinity) { a.Path, a.Domain = "/a", "a.example" })},
		"ages":           {keys: []string{"affinity", "cookie", "session-cookie-expires", "60", "session-cookie-max-age", "-1"}, want: plain(func(a *Affinity) { a.Expires, a.MaxAge = "60", "-1" })},
		"site, secure":   {keys: []string{"affinity", "cookie", "session-cookie-samesite", "Lax", "session-cookie-secure", "true"}, want: plain(func(a *Affinity) { a.SameSite, a.Secure = "Lax", true })},
		"legacy":         {keys: []string{"affinity", "cookie", "affinity-canary-behavior", "legacy"}, want: plain(func(a *Affinity) { a.CanaryByChance = true })},
		"persistent":     {keys: []string{"affinity", "cookie", "affinity-mode", "persistent"}, want: plain(nil), outcomes: []Outcome{NoEffect}},
		"bad mode":       {keys: []string{"affinity", "cookie", "affinity-mode", "sticky"}, want: plain(nil), outcomes: []Outcome{Invalid}},
		"bad name":       {keys: []string{"affinity", "cookie", "session-cookie-name", "a=b;"}, want: plain(nil), outcomes: []Outcome{Invalid}},
		"bad path":       {keys: []string{"affinity", "cookie", "session-cookie-path", "/; Domain=evil.example"}, want: plain(nil), outcomes: []Outcome{Invalid}},
		"bad domain":     {keys: []string{"affinity", "cookie", "session-cookie-domain", "a\r\nX: y"}, want: plain(nil), outcomes: []Outcome{Invalid}},
		"bad ages":       {keys: []string{"affinity", "cookie", "session-cookie-expires", "1h", "session-cookie-max-age", "99999999999"}, want: plain(nil), outcomes: []Outcome{Invalid, Invalid}},
		"bad samesite":   {keys: []string{"affinity", "cookie", "session-cookie-samesite", "lax"}, want: plain(nil), outcomes: []Outcome{Invalid}},
		"bad secure":     {keys: []string{"affinity", "cookie", "session-cookie-secure", "maybe"}, want: plain(nil), outcomes: []Outcome{Invalid}},
		"change on fail": {keys: []string{"affinity", "cookie", "session-cookie-change-on-failure", "true"}, want: plain(nil), outcomes: []Outcome{NoEffect}},
	} {
		t.Run(name, func(t *testing.T) {
			in := Input{Annotations: map[string]string{}}
			for i := 0; i < len(tt.keys); i += 2 {
				in.Annotations[Prefix+tt.keys[i]] = tt.keys[i+1]
			}
			set, findings := Parse(in)
			if !reflect.DeepEqual(set.Affinity, tt.want) {
				t.Errorf("got %+v, want %+v", set.Affinity, tt.want)
			}
			var outcomes []Outcome
			for _, f := range findings {
				outcomes = append(outcomes, f.Outcome)
			}
			if !reflect.DeepEqual(outcomes, tt.outcomes) {
				t.Errorf("findings %v, want outcomes %v", findings, tt.outcomes)
			}
		})
	}
}

func TestNewSession(t *testing.T) {
	shape := regexp.MustCompile(`^[0-9]+\.[0-9]+\|[0-9a-f]{32}$`)
	a, b := newSession(), newSession()
	if !shape.MatchString(a) || a == b {
		t.Errorf("got %q and %q", a, b)
	}
}

// A weight that grows keeps the clients that a canary has, and Share gives it its share.
func TestShareGrows(t *testing.T) {
	small, large := NewChooser(&Canary{Weight: 10, Total: 100}), NewChooser(&Canary{Weight: 50, Total: 100})
	taken := 0
	for i := range uint64(20000) {
		hash := i * 0x9e3779b97f4a7c15
		if small.Share(hash) {
			taken++
			if !large.Share(hash) {
				t.Fatalf("%x leaves the canary as its weight grows", hash)
			}
		}
	}
	if taken < 1700 || taken > 2300 {
		t.Errorf("%d of 20000 clients, want about 2000", taken)
	}
}

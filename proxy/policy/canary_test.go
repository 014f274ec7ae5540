package policy

import (
	"net/http"
	"reflect"
	"testing"
)

func TestReadCanary(t *testing.T) {
	for name, tt := range map[string]struct {
		profile     Profile
		annotations map[string]string // keys without prefix
		want        *Canary
		outcomes    []Outcome
	}{
		"none":        {},
		"off":         {annotations: map[string]string{"canary": "false"}},
		"off, weight": {annotations: map[string]string{"canary": "false", "canary-weight": "100"}, outcomes: []Outcome{NoEffect}},
		"no boolean":  {annotations: map[string]string{"canary": "yes", "canary-weight": "100"}, outcomes: []Outcome{Dropped}},
		"empty":       {annotations: map[string]string{"canary": ""}, outcomes: []Outcome{Dropped}},
		"alone":       {annotations: map[string]string{"canary": "true"}, want: &Canary{}},
		"header":      {annotations: map[string]string{"canary": "true", "canary-by-header": "x-lane"}, want: &Canary{Header: "X-Lane"}},
		"underscore, nginx": {
			profile: Nginx, annotations: map[string]string{"canary": "true", "canary-by-header": "X_Lane"},
			want: &Canary{Header: "X-Lane", FoldCookie: true, FoldHeader: true},
		},
		"underscore, spec": {annotations: map[string]string{"canary": "true", "canary-by-header": "X_Lane"}, want: &Canary{Header: "X_lane"}},
		"bad header":       {annotations: map[string]string{"canary": "true", "canary-by-header": "X Lane"}, want: &Canary{}, outcomes: []Outcome{Invalid}},
		"value":            {annotations: map[string]string{"canary": "true", "canary-by-header": "X-Lane", "canary-by-header-value": "b"}, want: &Canary{Header: "X-Lane", Value: "b"}},
		"value alone":      {annotations: map[string]string{"canary": "true", "canary-by-header-value": "b"}, want: &Canary{}, outcomes: []Outcome{NoEffect}},
		"pattern":          {annotations: map[string]string{"canary": "true", "canary-by-header": "X-Lane", "canary-by-header-pattern": "^b"}, want: &Canary{Header: "X-Lane", Pattern: "^b"}},
		"pattern and value": {
			annotations: map[string]string{"canary": "true", "canary-by-header": "X-Lane", "canary-by-header-pattern": "^b", "canary-by-header-value": "c"},
			want:        &Canary{Header: "X-Lane", Value: "c"},
		},
		"bad pattern": {
			annotations: map[string]string{"canary": "true", "canary-by-header": "X-Lane", "canary-by-header-pattern": "(?!a)"},
			want:        &Canary{}, outcomes: []Outcome{Invalid},
		},
		"cookie":         {annotations: map[string]string{"canary": "true", "canary-by-cookie": "lane"}, want: &Canary{Cookie: "lane"}},
		"bad cookie":     {annotations: map[string]string{"canary": "true", "canary-by-cookie": "la;ne"}, want: &Canary{}, outcomes: []Outcome{Invalid}},
		"weight":         {annotations: map[string]string{"canary": "true", "canary-weight": "30"}, want: &Canary{Weight: 30, Total: 100}},
		"weight 0":       {annotations: map[string]string{"canary": "true", "canary-weight": "0", "canary-weight-total": "400"}, want: &Canary{}},
		"small total":    {annotations: map[string]string{"canary": "true", "canary-weight": "50", "canary-weight-total": "50"}, want: &Canary{Weight: 50, Total: 100}},
		"large total":    {annotations: map[string]string{"canary": "true", "canary-weight": "250", "canary-weight-total": "1000"}, want: &Canary{Weight: 250, Total: 1000}},
		"above total":    {annotations: map[string]string{"canary": "true", "canary-weight": "101"}, want: &Canary{Weight: 101, Total: 100}},
		"negative":       {annotations: map[string]string{"canary": "true", "canary-weight": "-5"}, want: &Canary{}, outcomes: []Outcome{Invalid}},
		"no number":      {annotations: map[string]string{"canary": "true", "canary-weight": "half"}, want: &Canary{}, outcomes: []Outcome{Invalid}},
		"too large":      {annotations: map[string]string{"canary": "true", "canary-weight": "99999999999999999999"}, want: &Canary{}, outcomes: []Outcome{Invalid}},
		"negative total": {annotations: map[string]string{"canary": "true", "canary-weight": "5", "canary-weight-total": "-1"}, want: &Canary{Weight: 5, Total: 100}, outcomes: []Outcome{Invalid}},
	} {
		t.Run(name, func(t *testing.T) {
			in := Input{Profile: tt.profile, Annotations: map[string]string{}}
			for k, v := range tt.annotations {
				in.Annotations[Prefix+k] = v
			}
			set, findings := Parse(in)
			if !reflect.DeepEqual(set.Canary, tt.want) {
				t.Errorf("got %+v, want %+v", set.Canary, tt.want)
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

func TestChance(t *testing.T) {
	header := func(lines ...string) http.Header {
		h := make(http.Header)
		for i := 0; i < len(lines); i += 2 {
			h.Add(lines[i], lines[i+1])
		}
		return h
	}
	for name, tt := range map[string]struct {
		canary Canary
		header http.Header
		want   Chance
	}{
		"nothing":                    {Canary{}, header("X-Lane", "always"), Never},
		"always":                     {Canary{Header: "X-Lane"}, header("X-Lane", "always"), Always},
		"never":                      {Canary{Header: "X-Lane", Weight: 100, Total: 100}, header("X-Lane", "never"), Never},
		"case":                       {Canary{Header: "X-Lane"}, header("X-Lane", "Always"), Never},
		"the first counts":           {Canary{Header: "X-Lane"}, header("X-Lane", "never", "X-Lane", "always"), Never},
		"other value, cookie":        {Canary{Header: "X-Lane", Cookie: "lane"}, header("X-Lane", "x", "Cookie", "lane=always"), Always},
		"other value, cookie, never": {Canary{Header: "X-Lane", Cookie: "lane", Weight: 100, Total: 100}, header("X-Lane", "x", "Cookie", "lane=never"), Never},
		"value":                      {Canary{Header: "X-Lane", Value: "b"}, header("X-Lane", "b"), Always},
		"value, always":              {Canary{Header: "X-Lane", Value: "b"}, header("X-Lane", "always"), Never},
		"value, never, weight":       {Canary{Header: "X-Lane", Value: "b", Weight: 100, Total: 100}, header("X-Lane", "never"), Always},
		"pattern":                    {Canary{Header: "X-Lane", Pattern: "eta"}, header("X-Lane", "beta"), Always},
		"pattern, other":             {Canary{Header: "X-Lane", Pattern: "eta"}, header("X-Lane", "always"), Never},
		"cookie among others":        {Canary{Cookie: "lane"}, header("Cookie", "a=b; lane=always; c=d"), Always},
		"cookie, second line":        {Canary{Cookie: "lane"}, header("Cookie", "a=b", "Cookie", "lane=always"), Always},
		"cookie, suffix of another":  {Canary{Cookie: "lane"}, header("Cookie", "xlane=always"), Never},
		"cookie, case":               {Canary{Cookie: "lane"}, header("Cookie", "LANE=always"), Never},
		"cookie, folded":             {Canary{Cookie: "lane", FoldCookie: true}, header("Cookie", "LANE=always"), Always},
		"weight":                     {Canary{Weight: 1, Total: 100}, nil, Weight},
		"all the weight":             {Canary{Weight: 100, Total: 100}, nil, Always},
		"more than all":              {Canary{Weight: 101, Total: 100}, nil, Always},
	} {
		t.Run(name, func(t *testing.T) {
			if got := NewChooser(&tt.canary).Chance(tt.header); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

// Draw gives a canary its share: of 20000 draws at 30 %, within 7 standard deviations.
func TestDraw(t *testing.T) {
	ch := NewChooser(&Canary{Weight: 300, Total: 1000})
	n := 0
	for range 20000 {
		if ch.Draw() {
			n++
		}
	}
	if n < 6000-454 || n > 6000+454 {
		t.Errorf("%d of 20000 draws, want about 6000", n)
	}
}

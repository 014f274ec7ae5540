package policy

import (
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

func TestReadBalance(t *testing.T) {
	tenant := Template{Parts: []Part{{Variable: "http_x_tenant"}}}
	for name, tt := range map[string]struct {
		annotations, config map[string]string
		want                Balance
		outcomes            []Outcome
	}{
		"none":         {},
		"round robin":  {annotations: map[string]string{"load-balance": "round_robin"}, want: Balance{Algorithm: upstream.RoundRobin}},
		"in capitals":  {annotations: map[string]string{"load-balance": " Round_Robin "}, want: Balance{Algorithm: upstream.RoundRobin}},
		"least":        {annotations: map[string]string{"load-balance": "least_conn"}, want: Balance{Algorithm: upstream.LeastLoad}},
		"ewma":         {annotations: map[string]string{"load-balance": "ewma"}},
		"p2c":          {annotations: map[string]string{"load-balance": "p2c"}},
		"empty":        {annotations: map[string]string{"load-balance": ""}},
		"unknown":      {annotations: map[string]string{"load-balance": "random()"}, outcomes: []Outcome{Invalid}},
		"by default":   {config: map[string]string{"load-balance": "round_robin"}, want: Balance{Algorithm: upstream.RoundRobin}},
		"over default": {annotations: map[string]string{"load-balance": "ewma"}, config: map[string]string{"load-balance": "round_robin"}},
		"unknown over default": {
			annotations: map[string]string{"load-balance": "ip_hash"}, config: map[string]string{"load-balance": "round_robin"},
			want: Balance{Algorithm: upstream.RoundRobin}, outcomes: []Outcome{Invalid},
		},
		"hash": {annotations: map[string]string{"upstream-hash-by": "$http_x_tenant"}, want: Balance{HashBy: tenant, Size: 1}},
		"hash of several": {
			annotations: map[string]string{"upstream-hash-by": "${arg_user}-$host"},
			want:        Balance{HashBy: Template{Parts: []Part{{Variable: "arg_user"}, {Text: "-"}, {Variable: "host"}}}, Size: 1},
		},
		"hash of a text":     {annotations: map[string]string{"upstream-hash-by": "all"}, want: Balance{HashBy: Template{Parts: []Part{{Text: "all"}}}, Size: 1}},
		"empty hash":         {annotations: map[string]string{"upstream-hash-by": "  "}},
		"hash of an unknown": {annotations: map[string]string{"upstream-hash-by": "$binary_remote_addr"}, outcomes: []Outcome{Invalid}},
		"no variable's name": {annotations: map[string]string{"upstream-hash-by": "$x;}"}, outcomes: []Outcome{Invalid}},
		"unclosed":           {annotations: map[string]string{"upstream-hash-by": "${host"}, outcomes: []Outcome{Invalid}},
		"subset": {
			annotations: map[string]string{"upstream-hash-by": "$http_x_tenant", "upstream-hash-by-subset": "true"},
			want:        Balance{HashBy: tenant, Size: 3},
		},
		"subset of two": {
			annotations: map[string]string{"upstream-hash-by": "$http_x_tenant", "upstream-hash-by-subset": "true", "upstream-hash-by-subset-size": "2"},
			want:        Balance{HashBy: tenant, Size: 2},
		},
		"subset off": {
			annotations: map[string]string{"upstream-hash-by": "$http_x_tenant", "upstream-hash-by-subset": "false", "upstream-hash-by-subset-size": "2"},
			want:        Balance{HashBy: tenant, Size: 1}, outcomes: []Outcome{NoEffect},
		},
		"subset of none": {
			annotations: map[string]string{"upstream-hash-by": "$http_x_tenant", "upstream-hash-by-subset": "true", "upstream-hash-by-subset-size": "0"},
			want:        Balance{HashBy: tenant, Size: 3}, outcomes: []Outcome{Invalid},
		},
		"subset of too many": {
			annotations: map[string]string{"upstream-hash-by": "$http_x_tenant", "upstream-hash-by-subset": "true", "upstream-hash-by-subset-size": "65"},
			want:        Balance{HashBy: tenant, Size: 3}, outcomes: []Outcome{Invalid},
		},
		"subset, no boolean": {
			annotations: map[string]string{"upstream-hash-by": "$http_x_tenant", "upstream-hash-by-subset": "yes"},
			want:        Balance{HashBy: tenant, Size: 1}, outcomes: []Outcome{Invalid},
		},
		"subset alone":          {annotations: map[string]string{"upstream-hash-by-subset": "true"}, outcomes: []Outcome{NoEffect}},
		"subset of a bad value": {annotations: map[string]string{"upstream-hash-by": "$x", "upstream-hash-by-subset": "true"}, outcomes: []Outcome{Invalid}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, profile := range []Profile{Spec, Nginx} {
				in := Input{Profile: profile, Annotations: map[string]string{}, Config: tt.config}
				for k, v := range tt.annotations {
					in.Annotations[NginxPrefix+k] = v
				}
				set, findings := Parse(in)
				if !reflect.DeepEqual(set.Balance, tt.want) {
					t.Errorf("got %+v, want %+v", set.Balance, tt.want)
				}
				var outcomes []Outcome
				for _, f := range findings {
					outcomes = append(outcomes, f.Outcome)
				}
				if !reflect.DeepEqual(outcomes, tt.outcomes) {
					t.Errorf("got %v, want outcomes %v", findings, tt.outcomes)
				}
				if len(set.Refused) > 0 || set.Unroutable {
					t.Errorf("a value of load balancing costs more than itself: %+v", set)
				}
			}
		})
	}
}

func TestPickOfRequest(t *testing.T) {
	b := func(by string) *Balance {
		s, findings := Parse(Input{Annotations: map[string]string{Prefix + "upstream-hash-by": by}})
		if len(findings) > 0 {
			t.Fatal(findings)
		}
		return &s.Balance
	}
	w := &writer{ResponseRecorder: httptest.NewRecorder(), client: "192.0.2.1", path: "/"}
	r := httptest.NewRequest("GET", "/a?user=7&x=1", nil)
	r.Header.Set("X-Tenant", "acme")
	for by, text := range map[string]string{
		"$http_x_tenant": "acme", "$arg_user$host": "7a.example", "$remote_addr": "192.0.2.1", "$request_uri": "/a?user=7&x=1",
		"$service_name:$cookie_none": "web:", "$http_x_none": "",
	} {
		want := upstream.Pick{Size: 1, Hash: upstream.HashOf(text)}
		if got := b(by).Pick(w, r, &Rule{Service: "web"}); got != want {
			t.Errorf("%s: got %+v, want the hash of %q", by, got, text)
		}
	}
	long := httptest.NewRequest("GET", "/"+strings.Repeat("x", 1<<16), nil)
	if got := b("$request_uri").Pick(w, long, &Rule{}); got.Size != 1 {
		t.Errorf("a long text: got %+v", got)
	}
}

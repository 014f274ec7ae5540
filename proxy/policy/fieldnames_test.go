package policy

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestFieldNames(t *testing.T) {
	for _, tt := range []struct {
		profile Profile
		config  map[string]string
		dropped string
	}{
		{Nginx, nil, "X_Lane X.Dot X_Y.z !"},
		{Spec, nil, ""},
		{Nginx, map[string]string{"enable-underscores-in-headers": "true"}, "X.Dot X_Y.z !"},
		{Nginx, map[string]string{"ignore-invalid-headers": "false"}, ""},
		{Nginx, map[string]string{"ignore-invalid-headers": "perhaps"}, "X_Lane X.Dot X_Y.z !"},
		{Spec, map[string]string{"ignore-invalid-headers": "true"}, "X_Lane X.Dot X_Y.z !"},
		{Spec, map[string]string{"ignore-invalid-headers": "true", "enable-underscores-in-headers": "true"}, "X.Dot X_Y.z !"},
	} {
		s, _ := Parse(Input{Profile: tt.profile, Config: tt.config})
		h := http.Header{"X-Lane": {"1"}, "X_Lane": {"1"}, "X.Dot": {"1"}, "X_Y.z": {"1"}, "Accept": nil, "X-9-Z": {"1"}, "!": {"1"}, "grpc-timeout": {"1"}}
		all := h.Clone()
		if got := s.FieldNames.Clean(h); got != (tt.dropped != "") {
			t.Errorf("%v %v: dropped %t", tt.profile, tt.config, got)
		}
		for _, name := range strings.Fields(tt.dropped) {
			delete(all, name)
		}
		if !reflect.DeepEqual(h, all) {
			t.Errorf("%v %v: left are %v, want %v", tt.profile, tt.config, h, all)
		}
	}
}

func TestOnlyTheAddress(t *testing.T) {
	for name, tt := range map[string]struct {
		config                map[string]string
		trusts, only, replace bool
	}{
		"off":             {map[string]string{"enable-real-ip": "false"}, false, false, false},
		"the address":     {map[string]string{"enable-real-ip": "true"}, true, true, true},
		"all":             {map[string]string{"enable-real-ip": "true", "use-forwarded-headers": "true"}, true, false, true},
		"all, and full":   {map[string]string{"use-forwarded-headers": "true", "compute-full-forwarded-for": "true"}, true, false, false},
		"a bad list":      {map[string]string{"enable-real-ip": "true", "proxy-real-ip-cidr": "x"}, false, false, false},
		"nonsense is off": {map[string]string{"enable-real-ip": "aye"}, false, false, false},
	} {
		g, _ := ParseConfig(tt.config, nil)
		if got := g.Trust; (len(got.Proxies) > 0) != tt.trusts || got.AddressOnly != tt.only || got.Replace != tt.replace {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestReadFieldsOfAnnotations(t *testing.T) {
	for _, tt := range []struct {
		value, allowed string
		want           []string
		finding        string
	}{
		{"team", "x-team, X-Extra", []string{"X-Team"}, ""},
		{"shop/team", "X-Team", []string{"X-Team"}, ""},
		{" ", "X-Team", nil, ""},
		{"ops/team", "X-Team", nil, "is not in the namespace"},
		{"/team", "X-Team", nil, "want namespace/name"},
		{"nowhere", "X-Team", nil, "not found"},
		{"team", "", nil, "allows"},
		{"bad", "X-Team", nil, "want the name of a field"},
		{"framing", "Transfer-Encoding", nil, "frames the message"},
		{"variable", "X-Team", nil, "$nothing is not supported"},
	} {
		s, findings := Parse(Input{
			Namespace: "shop", Annotations: map[string]string{Prefix + "custom-headers": tt.value}, Config: map[string]string{"global-allowed-response-headers": tt.allowed},
			OwnConfigMap: func(name string) map[string]string {
				return map[string]map[string]string{
					"team": {"X-Team": "blue"}, "bad": {"X Team": "blue"}, "framing": {"Transfer-Encoding": "gzip"}, "variable": {"X-Team": "$nothing"},
				}[name]
			},
		})
		var got []string
		if s.Fields != nil {
			for _, f := range s.Fields.Add {
				got = append(got, f.Name)
			}
		}
		text := ""
		if len(findings) > 0 {
			text = findings[0].Err.Error()
		}
		if s.Unroutable != (tt.finding != "") || !strings.Contains(text, tt.finding) || tt.finding == "" && !slices.Equal(got, tt.want) {
			t.Errorf("%q with %q: sets %q, %v", tt.value, tt.allowed, got, findings)
		}
	}
}

func BenchmarkFieldNames(b *testing.B) {
	n := FieldNames{Underscores: true, Others: true}
	h := http.Header{}
	for _, name := range []string{"Accept", "Accept-Encoding", "Accept-Language", "Cache-Control", "Cookie", "Referer", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Upgrade-Insecure-Requests", "User-Agent"} {
		h[name] = []string{"x"}
	}
	for b.Loop() {
		n.Clean(h)
	}
}

package policy

import (
	"reflect"
	"strings"
	"testing"
)

func TestReadErrors(t *testing.T) {
	for _, tt := range []struct {
		name        string
		annotations map[string]string
		config      map[string]string
		operator    bool
		want        Errors
		finding     string // part of the only one; empty for none
	}{
		{"absent", nil, nil, false, Errors{}, ""},
		{"a Service alone", map[string]string{"default-backend": "pages"}, nil, false, Errors{Service: "pages"}, ""},
		{"no Service", map[string]string{"default-backend": " "}, nil, false, Errors{}, ""},
		{"a Service elsewhere", map[string]string{"default-backend": "ops/pages"}, nil, false, Errors{}, "want the name of a Service"},
		{"a name that is too long", map[string]string{"default-backend": strings.Repeat("a", 64)}, nil, false, Errors{}, "want the name of a Service"},
		{"statuses, sorted and once", map[string]string{"default-backend": "pages", "custom-http-errors": "503, 404,503"}, nil, false, Errors{"pages", []int{404, 503}, false}, ""},
		{"no status", map[string]string{"custom-http-errors": ""}, nil, false, Errors{}, ""},
		{"a bad one", map[string]string{"custom-http-errors": "404,abc"}, nil, true, Errors{}, `got "abc"`},
		{"no error", map[string]string{"custom-http-errors": "200"}, nil, true, Errors{}, "from 400 to 599"},
		{"none at all", map[string]string{"custom-http-errors": "600"}, nil, true, Errors{}, "from 400 to 599"},
		{"a bad one, and the ConfigMap", map[string]string{"custom-http-errors": "x"}, map[string]string{"custom-http-errors": "418"}, true, Errors{Codes: []int{418}}, "served without it"},
		{"the ConfigMap", nil, map[string]string{"custom-http-errors": "418", "disable-proxy-intercept-errors": "true"}, true, Errors{Codes: []int{418}, PassOn: true}, ""},
		{"instead of the ConfigMap", map[string]string{"custom-http-errors": "410"}, map[string]string{"custom-http-errors": "418"}, true, Errors{Codes: []int{410}}, ""},
		{"nobody to answer", map[string]string{"custom-http-errors": "410"}, nil, false, Errors{Codes: []int{410}}, "nobody has the pages"},
		{"passed on", map[string]string{"custom-http-errors": "410", "disable-proxy-intercept-errors": "true"}, nil, true, Errors{Codes: []int{410}, PassOn: true}, ""},
		{"perhaps passed on", map[string]string{"custom-http-errors": "410", "disable-proxy-intercept-errors": "x"}, nil, true, Errors{Codes: []int{410}}, "want true or false"},
	} {
		in := Input{Annotations: map[string]string{}, Config: tt.config, HasDefaultBackend: tt.operator}
		for k, v := range tt.annotations {
			in.Annotations[NginxPrefix+k] = v
		}
		s, findings := Parse(in)
		if !reflect.DeepEqual(s.Errors, tt.want) {
			t.Errorf("%s: %+v, want %+v", tt.name, s.Errors, tt.want)
		}
		if len(s.Refused) > 0 || s.Unroutable {
			t.Errorf("%s: closes the route", tt.name)
		}
		switch {
		case tt.finding == "" && len(findings) > 0, tt.finding != "" && len(findings) != 1:
			t.Errorf("%s: %v", tt.name, findings)
		case tt.finding != "" && !strings.Contains(findings[0].Err.Error(), tt.finding):
			t.Errorf("%s: %v, want %q", tt.name, findings[0].Err, tt.finding)
		}
	}
}

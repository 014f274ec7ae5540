package policy

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

func TestForwardedFields(t *testing.T) {
	for _, test := range []struct {
		annotations, config map[string]string
		want                []string
		bad                 int
	}{
		{nil, nil, nil, 0},
		{map[string]string{"connection-proxy-header": "close"}, nil, []string{"Connection: close"}, 0},
		{map[string]string{"connection-proxy-header": "Keep-Alive"}, nil, nil, 0},
		{map[string]string{"connection-proxy-header": "upgrade"}, nil, nil, 1},
		{map[string]string{"connection-proxy-header": ""}, nil, nil, 0},
		{nil, map[string]string{"proxy-add-original-uri-header": "true"}, []string{"X-Original-Uri: /a%20b?c"}, 0},
		{nil, map[string]string{"proxy-add-original-uri-header": "false"}, nil, 0},
		{map[string]string{"connection-proxy-header": "close"}, map[string]string{"proxy-add-original-uri-header": "true"}, []string{"X-Original-Uri: /a%20b?c", "Connection: close"}, 0},
	} {
		in := Input{Config: test.config, Annotations: map[string]string{}}
		for k, v := range test.annotations {
			in.Annotations[Prefix+k] = v
		}
		s, findings := Parse(in)
		w := &writer{ResponseRecorder: httptest.NewRecorder()}
		Wrap(&s, Rule{}, &Env{}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, httptest.NewRequest("GET", "/a%20b?c", nil))
		if !slices.Equal(w.fields, test.want) || len(findings) != test.bad {
			t.Errorf("%v, %v: want %q, got %q, %v", test.annotations, test.config, test.want, w.fields, findings)
		}
	}
}

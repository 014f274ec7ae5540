package explain_test

import (
	"testing"

	"github.com/fairlead-ingress/fairlead/k8s/explain"
)

func TestParseURL(t *testing.T) {
	for text, want := range map[string]string{
		"a.example": "http://a.example", "https://a.example:65535/x?y#z": "https://a.example:65535/x?y", "http://[::1]:1/": "http://[::1]:1/",
		"a.example:65536": "", "a.example:0": "", "http://a.example:99999999999999999999/": "", "http://a.example:x/": "", "ftp://a.example/": "",
		"http:///x": "", "http://user@a.example/": "", "http://a.example:/": "http://a.example:/",
	} {
		u, err := explain.ParseURL(text)
		if (err == nil) != (want != "") || err == nil && u.String() != want {
			t.Errorf("%s: %v, %v, want %q", text, u, err, want)
		}
	}
}

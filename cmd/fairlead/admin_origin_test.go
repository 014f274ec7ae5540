package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// A page of a site whose name is made to lead to the admin port can have nothing probed.
func TestAdminPortIsNotRebound(t *testing.T) {
	for _, c := range []struct {
		host, origin, site string
		want               int
	}{
		{"evil.example:10254", "http://evil.example:10254", "same-origin", 403},
		{"evil.example:10254", "http://evil.example:10254", "", 403},
		{"evil.svc.example:10254", "", "same-origin", 403},
		{"127.0.0.1.evil.example", "http://127.0.0.1.evil.example", "", 403},
		{"localhost:10254", "https://evil.example", "cross-site", 403},
		{"localhost:10254", "http://localhost:10254", "same-origin", 200},
		{"127.0.0.1:10254", "http://127.0.0.1:10254", "same-origin", 200},
		{"[::1]:10254", "http://[::1]:10254", "same-origin", 200},
		{"fairlead-admin.ingress.svc:10254", "http://fairlead-admin.ingress.svc:10254", "same-origin", 200},
		{"fairlead.ingress.svc.cluster.local.:10254", "", "same-origin", 200},
		{"fairlead", "http://fairlead", "same-origin", 200},
		{"admin.example", "", "", 200}, // no browser
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Host = c.host
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		if c.site != "" {
			r.Header.Set("Sec-Fetch-Site", c.site)
		}
		w := httptest.NewRecorder()
		ownPages(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%+v: %d", c, w.Code)
		}
	}
}

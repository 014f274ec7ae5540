package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whoever asks about a cluster that cannot be read is told why, and need not wait until all hope is lost.
func TestExplainUnreadableCluster(t *testing.T) {
	refuse := func(status int, reason string, kinds ...string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			kind := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
			refused := len(kinds) == 0
			for _, k := range kinds {
				refused = refused || k == kind
			}
			switch {
			case refused:
				w.WriteHeader(status)
				fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"message":"%s: no","code":%d}`, reason, kind, status)
			case r.URL.Query().Get("watch") != "":
				if r.URL.Query().Get("sendInitialEvents") != "" {
					w.WriteHeader(http.StatusBadRequest) // then it lists
					return
				}
				<-r.Context().Done()
			default:
				fmt.Fprint(w, `{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}`)
			}
		})
	}
	closed := httptest.NewServer(nil)
	address := closed.URL
	closed.Close()
	for _, test := range []struct {
		name string
		api  http.Handler // nil: nobody listens
		want []string
		not  string
	}{
		{"nobody listens", nil, []string{"connection refused"}, "\n"},
		{"not let in", refuse(401, "Unauthorized"), []string{": no"}, "\n"},
		{"rights are lacking", refuse(403, "Forbidden", "services"), []string{"services: no"}, "ingresses"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			url := address
			if test.api != nil {
				server := httptest.NewServer(test.api)
				defer server.Close()
				defer server.CloseClientConnections()
				url = server.URL
			}
			file := filepath.Join(t.TempDir(), "kubeconfig")
			text := fmt.Sprintf("apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: %q}}]\ncontexts: [{name: x, context: {cluster: c}}]\ncurrent-context: x\n", url)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			root := rootCommand()
			root.SetArgs([]string{"explain", "http://shop.example/", "--kubeconfig", file})
			err := root.ExecuteContext(t.Context())
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q lacks %q", err, want)
				}
			}
			if strings.Contains(err.Error(), test.not) {
				t.Errorf("%q has %q", err, test.not)
			}
		})
	}
}

package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// TestAskerGoesAway: what was read around the cluster is remembered, so an asker who does not wait
// must not leave "could not be read" to those who ask next.
func TestAskerGoesAway(t *testing.T) {
	kinds := map[string]string{
		"pods": "v1 PodList", "namespaces": "v1 NamespaceList", "nodes": "v1 NodeList",
		"networkpolicies": "networking.k8s.io/v1 NetworkPolicyList", "leases": "coordination.k8s.io/v1 LeaseList",
		"selfsubjectaccessreviews": "authorization.k8s.io/v1 SelfSubjectAccessReview",
	}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		version, kind, _ := strings.Cut(kinds[r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]], " ")
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"apiVersion":%q,"kind":%q,"items":[],"status":{"allowed":true}}`, version, kind)
	}))
	defer api.Close()
	client, err := kubernetes.NewForConfig(&rest.Config{Host: api.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{client: client}
	gone, leave := context.WithCancel(t.Context())
	leave()
	for _, ctx := range []context.Context{gone, t.Context()} {
		if a := c.around(ctx, ""); len(a.Unread) > 0 || a.Refused == nil {
			t.Errorf("unread %v, refused %v", a.Unread, a.Refused)
		}
	}
}

package cluster

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// auditPolicy has the API server write down every request that it has answered.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
`

func (c *Cluster) auditLog() string { return filepath.Join(c.dir, "audit.log") }

// Request is what the API server wrote down of one.
type Request struct {
	Verb      string
	ObjectRef struct{ Resource, Subresource, Namespace, Name string }
	User      struct{ Username string }
	UserAgent string
	Response  struct{ Code int } `json:"responseStatus"`
}

// String returns "VERB RESOURCE", with the subresource.
func (r Request) String() string {
	if r.ObjectRef.Subresource != "" {
		return fmt.Sprintf("%s %s/%s", r.Verb, r.ObjectRef.Resource, r.ObjectRef.Subresource)
	}
	return r.Verb + " " + r.ObjectRef.Resource
}

// Requests returns those of a user that the API server answered, in their order.
func (c *Cluster) Requests(t testing.TB, user string) []Request {
	t.Helper()
	f, err := os.Open(c.auditLog())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var requests []Request
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r Request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			continue // the last line is being written
		}
		if r.User.Username == user {
			requests = append(requests, r)
		}
	}
	return requests
}

// Refused returns which requests of a user were forbidden: each kind once, sorted.
func (c *Cluster) Refused(t testing.TB, user string) []string {
	t.Helper()
	var refused []string
	for _, r := range c.Requests(t, user) {
		if r.Response.Code == http.StatusForbidden {
			refused = append(refused, r.String())
		}
	}
	slices.Sort(refused)
	return slices.Compact(refused)
}

package policy

import (
	"net/http"
	"strings"
	"testing"
)

// All rules block alike, so they share what that takes.
func TestRulesShareTheirPatterns(t *testing.T) {
	config := map[string]string{
		"block-user-agents": strings.Repeat("~*(bot|spider|crawl)[a-z]{3}x+,", 20), "block-referers": "~^a",
	}
	s, findings := Parse(Input{Profile: Nginx, Config: config})
	if s.Blocking == nil {
		t.Fatal(findings)
	}
	env, next := new(Env), http.NotFoundHandler()
	wrap := func() { Wrap(&Set{Blocking: s.Blocking}, Rule{}, env, next) }
	wrap()
	if n := testing.AllocsPerRun(10, wrap); n > 20 {
		t.Errorf("%.0f allocations for the handler of another rule", n)
	}
}

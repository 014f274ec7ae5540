package script

import (
	"context"
	"crypto/x509"
	"fmt"
	"path"
	"strings"
	"testing"
	"time"
)

// Site is where a script is played: something that serves objects and can be asked.
type Site interface {
	// Apply serves the objects of a file in place of those that a file of the same base
	// name brought before.
	Apply(name string, objects []byte) error
	// Delete takes away what the file of that base name brought.
	Delete(name string) error
	// Address is where the listener "http", "https" or "admin" is reached, as host:port.
	Address(listener string) string
	// Client is the address of this process as the site sees it.
	Client() string
	// Roots are the authorities that the certificates of the objects come from.
	Roots() *x509.CertPool
	// Log is what the controller wrote so far, for the report of a failure.
	Log() string
}

// Play takes the steps of a script, in order, at a site that serves its first files already.
// It stops at the first step that fails.
func Play(t testing.TB, s *Script, site Site) {
	t.Helper()
	c := &client{site: site, vars: variables(site)}
	defer c.close()
	for _, step := range s.Steps {
		if err := c.take(s, step); err != nil {
			t.Fatalf("%s.txtar:%d: %v\nlog of the controller, its end:\n%s", s.Name, step.Line, err, tail(site.Log(), 20))
		}
	}
}

func variables(site Site) map[string]string {
	return map[string]string{
		"client":     site.Client(),
		"4k":         strings.Repeat("k", 4<<10),
		"http.port":  port(site.Address("http")),
		"https.port": port(site.Address("https")),
	}
}

func port(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

func tail(text string, n int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-n):], "\n")
}

func (c *client) take(s *Script, step Step) error {
	switch {
	case step.Apply != "":
		for _, f := range s.Files {
			if f.Name == step.Apply {
				return c.site.Apply(path.Base(f.Name), f.Data)
			}
		}
	case step.Delete != "":
		return c.site.Delete(step.Delete)
	}
	if step.Request.Mode == Wait {
		return c.wait(step.Request)
	}
	return c.ask(step.Request)
}

// wait repeats the request until it answers as expected.
func (c *client) wait(r *Request) error {
	deadline := time.Now().Add(waitFor)
	for {
		err := c.ask(r)
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("still so after %v: %w", waitFor, err)
		}
		pause := time.NewTimer(waitPause)
		<-pause.C
	}
}

// ask sends the request as often as it says, over connections of its own, and checks every
// answer. Expectations on "backends" are about all of them together.
func (c *client) ask(r *Request) error {
	defer c.close()
	ctx, cancel := context.WithTimeout(context.Background(), requestTime)
	defer cancel()
	backends := map[string]struct{}{}
	for n := range r.Repeat {
		a := c.send(ctx, r)
		if name, ok := fieldValue(a.Header, "Echo-Backend"); ok {
			backends[name] = struct{}{}
		}
		if wrong := r.check(a, len(backends), n == r.Repeat-1, c.vars, c.site.Roots()); wrong != nil {
			return fmt.Errorf("%s\nanswer %d of %d:\n%s", strings.Join(wrong, "\n"), n+1, r.Repeat, indent(a.String()))
		}
	}
	return nil
}

func indent(s string) string {
	return "\t" + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n\t")
}

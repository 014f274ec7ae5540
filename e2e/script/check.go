package script

import (
	"crypto/x509"
	"fmt"
	"strconv"
	"strings"
)

// check compares an answer with the expectations of its request and returns a text for each
// that does not hold. Backends counts the backends that have answered so far; it is only
// looked at for the last answer of a repeated request, which is when it is complete.
func (r *Request) check(a *Answer, backends int, last bool, vars map[string]string, roots *x509.CertPool) []string {
	var wrong []string
	if !r.expectsCode() {
		switch {
		case a.Err != nil:
			wrong = append(wrong, fmt.Sprintf("line %d: %s: %v", r.Line, r.Text, a.Err))
		case a.Code != r.wantedCode():
			wrong = append(wrong, fmt.Sprintf("line %d: %s: want code %d, got %d", r.Line, r.Text, r.wantedCode(), a.Code))
		}
	}
	host := r.Host
	if r.SNI != nil {
		host = *r.SNI
	}
	for _, e := range r.Expect {
		var got string
		present := true
		if e.Subject == "backends" {
			if !last {
				continue
			}
			got = strconv.Itoa(backends)
		} else {
			got, present = a.value(e, roots, host)
		}
		if !e.holds(got, present, vars) {
			if !present {
				got = "(absent)"
			}
			wrong = append(wrong, fmt.Sprintf("line %d: want %s\n\tgot %s", e.Line, expand(e.Text, vars), got))
		}
	}
	return wrong
}

// holds evaluates the operator. What is absent equals nothing and contains nothing.
func (e Expectation) holds(got string, present bool, vars map[string]string) bool {
	want := expand(e.Value, vars)
	switch e.Op {
	case "absent":
		return !present
	case "present":
		return present
	case "==":
		return present && got == want
	case "!=":
		return !present || got != want
	case "contains":
		return present && strings.Contains(got, want)
	case "!contains":
		return !present || !strings.Contains(got, want)
	case "~":
		return present && e.pattern.MatchString(got)
	case "!~":
		return !present || !e.pattern.MatchString(got)
	}
	panic("operator " + e.Op + " is known to the parser only")
}

// expand puts the site's values in the place of $client and the like.
func expand(s string, vars map[string]string) string {
	for name, value := range vars {
		s = strings.ReplaceAll(s, "$"+name, value)
	}
	return s
}

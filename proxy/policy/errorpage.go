package policy

import (
	"errors"
	"slices"
	"strconv"
)

// Errors says who answers in place of errors. The zero value: nobody does.
type Errors struct {
	// Service, of the namespace of the Ingress, answers while the rule's backend has no
	// endpoints, and gives the pages; empty: the operator's default backend gives them.
	Service string
	// Codes are the statuses, sorted, that are answered with a page.
	Codes []int
	// PassOn leaves the errors of the backend as they are. Those of the proxy get a page.
	PassOn bool
}

var (
	customErrors = Key{
		Name: "custom-http-errors", Global: true, Value: "statuses from 400 to 599, separated by commas",
		Doc: "errors with these statuses, of the backend or of our own, get their page from default-backend, or else from the Service of --default-backend-service; in the ConfigMap also those of requests that no rule matches",
	}
	defaultService = Key{
		Name: "default-backend", Value: "name of a Service of the namespace",
		Doc: "answers while the backend has no endpoints, and gives the pages of custom-http-errors: over its first port, told the error in X-Code and what it was in X-Format, X-Original-URI, X-Namespace, X-Ingress-Name, X-Service-Name and X-Service-Port",
	}
	noIntercept = Key{
		Name: "disable-proxy-intercept-errors", Global: true, Value: "true or false", Default: "false",
		Doc: "custom-http-errors is for our own errors alone: those of the backend are passed on",
	}
)

var errNobodyAnswers = errors.New("there is neither default-backend beside it nor --default-backend-service, so nobody has the pages")

// errorPages is no handler: every error is sent in one place, and that asks for the page.
var errorPages = feature{
	name: "error pages",
	keys: []Key{customErrors, defaultService, noIntercept},
	read: func(r *reader, s *Set) {
		s.Errors.Codes = r.statuses(customErrors)
		if v, ok := r.text(defaultService); ok {
			if !isServiceName(v) {
				r.bad(defaultService, "want the name of a Service, got %.80q", v)
			} else {
				s.Errors.Service = v
			}
		}
		if s.Errors.Service == "" && len(s.Errors.Codes) > 0 && !r.HasDefaultBackend && r.has(customErrors) {
			r.judge(customErrors, NoEffect, errNobodyAnswers)
		}
		s.Errors.PassOn = r.boolean(noIntercept, false) && len(s.Errors.Codes) > 0
	},
}

// statuses reads a list of statuses of errors.
func (r *reader) statuses(k Key) []int {
	var codes []int
	for _, entry := range r.list(k) {
		n, err := strconv.Atoi(entry)
		if err != nil || n < 400 || n > 599 {
			r.bad(k, "want statuses from 400 to 599, got %.20q", entry)
			if k, ok := r.fall(k); ok {
				return r.statuses(k)
			}
			return nil
		}
		codes = append(codes, n)
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// isServiceName reports whether s is a name that a Service can have: a DNS label.
func isServiceName(s string) bool {
	for i := range len(s) {
		c := s[i]
		alphanumeric := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !alphanumeric && (c != '-' || i == 0 || i == len(s)-1) {
			return false
		}
	}
	return s != "" && len(s) <= 63
}

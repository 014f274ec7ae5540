// Package policy holds the behaviours that a rule can have beside forwarding, one file per
// feature. A Set is plain data, parsed from annotations when the configuration is
// translated and compiled into handlers when a table is built.
//
// No feature exists yet: keys.go lists what users of ingress-nginx write, and what becomes
// of a rule that has it. What protects access is never left out in silence.
package policy

// Set is the policies of one rule. The zero value has none.
type Set struct {
	// Refused names the annotations, sorted, that guard access and that this version cannot
	// honour. A rule that has any fails closed: whoever makes the rule gives it an answer
	// of 503 instead of a backend.
	Refused []string
}

// Package policy holds the behaviours that a rule can have beside forwarding, one file per
// feature. A Set is plain data, parsed from annotations when the configuration is
// translated and compiled into handlers when a table is built.
package policy

// Set is the policies of one rule. The zero value has none.
type Set struct {
	// Refused names the annotation keys that guard access and that this version cannot
	// honour. A rule that has any fails closed: every request is answered 503.
	Refused []string
}

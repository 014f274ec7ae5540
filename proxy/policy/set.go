// Package policy holds the behaviours that a rule can have beside forwarding, one file per
// feature. A Set is plain data: Parse makes it of annotations when the configuration is
// translated, and Wrap makes handlers of it when a table is built. chain.go has the order of
// the features and is their only registry.
//
// What users of ingress-nginx write and no feature has yet is in keys.go, with what becomes of
// a rule that has it. What protects access is never left out in silence.
package policy

import "github.com/fairlead-ingress/fairlead/proxy/upstream"

// Profile is whose behaviour an Ingress gets where the two differ. Its class chooses.
type Profile uint8

const (
	// Spec is what the Ingress v1 API documents, and nothing that nobody asked for.
	Spec Profile = iota
	// Nginx is what ingress-nginx does, its quirks included.
	Nginx
)

func (p Profile) String() string {
	if p == Nginx {
		return "ingress-nginx"
	}
	return "spec"
}

// Set is the policies of one rule. The zero value has none. Sets that are deeply equal make the
// same handlers. A Set may be shared by many rules and is never changed.
type Set struct {
	// Quirks are those that something in the Set depends on, as nobody has said how to do it.
	Quirks QuirkSet
	// Refused names the annotations, sorted, that guard access and that cannot be honoured.
	// A rule that has any fails closed: whoever makes the rule gives it an answer of 503
	// instead of a backend.
	Refused []string
	// Unroutable says that an annotation changes what the rules lead to and cannot be
	// honoured: they answer 503 as well.
	Unroutable bool

	ClientCert  *ClientCert
	SatisfyAny  bool // one of the three that follow is enough, if there are several
	Access      *Access
	BasicAuth   *BasicAuth
	Auth        *ExternalAuth
	Unvouched   []string // fields of global-auth-url's answers, where nobody asks it
	Redirect    *Redirect
	SSLRedirect *SSLRedirect
	HSTS        string   // value of Strict-Transport-Security; empty for none
	AppRoot     string   // path that requests for "/" are sent to; empty for none
	Aliases     []string // hosts as they were written; nil in the Set of a rule
	WWW         *WWW     // Host is empty for the rules of the Ingress itself
	Slash       Slash
	Rewrite     *Rewrite
	CORS        *CORS
	Limit       *Limit
	BodySize    int64 // largest request body in bytes; 0 for no limit
	Forward     Forward
	Balance     Balance
	Affinity    *Affinity
	// Canary makes the rules alternatives for those of another Ingress; nil: they are rules.
	Canary   *Canary
	Blocking *Blocking
	Fields   *Fields
	Gzip     *Compression
	Backend  Backend
	Timeouts Timeouts
	// NotLogged: requests have no line in the access log.
	NotLogged bool
	Retry     upstream.Retry
	Buffer    Buffer
	Errors    Errors
	// Brotli is sent where a client takes it and Gzip.
	Brotli *Compression
	// FieldNames says which fields of requests nobody sees.
	FieldNames FieldNames
	Response   Response
	Pace       Pace
	Mirror     *Mirror
	// Ciphers are those of TLS 1.2 for the host; nil leaves that to the Listener.
	Ciphers []uint16
	// ACME says whether certificates are ordered for the hosts; nil leaves that to the class.
	ACME *bool
	// Passthrough hands the TLS connections of the host on undecrypted.
	Passthrough bool
}

// Rule is what a handler must know of the rule it is made for.
type Rule struct {
	Namespace, Ingress string
	Host, Path         string // as in the Ingress, also for requests to an alias of the host
	Service, Port      string // of the backend; may be empty
	// Match returns the submatches of a decoded path if the rule's path is a regular
	// expression; else it is nil. GroupNames are their names, empty for those without.
	Match      func(path string) []string
	GroupNames []string
	// Literal reports, for a rule whose path is a regular expression only because of Because,
	// whether a canonical path would match without; nil for others.
	Literal func(path string) bool
	Because QuirkSet
	// SameCase reports whether a decoded path matches if case has a meaning; nil where it has.
	SameCase func(path string) bool
	// Uses counts the requests that depend on quirks; nil: nobody asks for them.
	Uses *Uses
}

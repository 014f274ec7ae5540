package policy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
)

// Quirk is a behaviour in which the profiles differ. Nothing else may depend on the profile, so
// that each difference has a name, can be switched, and is counted.
type Quirk uint8

// The quirks; see the table below.
const (
	QuirkHTTPSRedirect Quirk = iota
	QuirkAnyTLSSection
	QuirkCutSlash
	QuirkTrailingSlash
	QuirkHSTS
	QuirkBodyLimit
	QuirkLimitStatus
	QuirkLimitsPerReplica
	QuirkRegexHostWide
	QuirkRegexAnyCase
	QuirkRewriteRegex
	QuirkBadUseRegex
	QuirkWWWPort
	QuirkCanaryNames
	QuirkCORSOptions
	QuirkCORSCredentials
	QuirkCORSHeaders
	QuirkAuthKeysAlone
	QuirkRetryTimeouts
	QuirkRetrySame
	QuirkRequestBuffering
	QuirkConnectTimeout
	QuirkBackendSNI
	QuirkSchemeFields
	QuirkSentFrom
	QuirkFieldNames
	QuirkTargetPort
	numQuirks
)

// quirk is what is known of a Quirk.
type quirk struct {
	name string
	doc  string
	// spec says that it is on by default in the spec profile too; in that of ingress-nginx all are.
	spec bool
	// uncounted is why requests that depend on it cannot be told; empty: they are counted.
	uncounted string
}

// quirks is the only registry, in the order of the page.
var quirks = [numQuirks]quirk{
	QuirkHTTPSRedirect: {
		name: "https-redirect", doc: "requests over plain HTTP are redirected to HTTPS where the host has TLS, though neither ssl-redirect nor force-ssl-redirect asks for it",
	},
	QuirkAnyTLSSection: {
		name: "tls-section-for-all-hosts", doc: "any TLS section of an Ingress is one for all hosts of the Ingress, and for all Ingresses of those hosts, as far as ssl-redirect goes",
	},
	QuirkCutSlash: {
		name: "redirect-cuts-slash", doc: "redirects to HTTPS and to www lose a slash at the end of their target, in the query too, though preserve-trailing-slash does not say so",
	},
	QuirkTrailingSlash: {
		name: "trailing-slash-redirect", doc: "where a rule's path ends in a slash, the path without it is redirected there with 301; else a Prefix serves it and an Exact does not match",
	},
	QuirkHSTS: {
		name: "hsts-default", doc: "Strict-Transport-Security is sent with answers over HTTPS, in place of the backend's, though the ConfigMap does not say so",
	},
	QuirkBodyLimit: {
		name: "body-limit-default", doc: "request bodies of more than 1 MiB are refused with 413 where proxy-body-size is not set",
	},
	QuirkLimitStatus: {
		name: "limit-status-503", doc: "limit-connections, limit-rps and limit-rpm refuse with 503 instead of 429 where the ConfigMap has no status",
	},
	QuirkLimitsPerReplica: {
		name: "limits-per-replica", doc: "each replica allows all of a limit, instead of its part; --limits-per-replica does the same for both profiles",
		uncounted: "one replica does not know what the others would have refused",
	},
	QuirkRegexHostWide: {
		name: "regex-host-wide", doc: "where the paths of one Ingress of a host are regular expressions, so are those of all others on that host, whatever their path types",
	},
	QuirkRegexAnyCase: {
		name: "regex-any-case", doc: "regular expressions take no notice of case", spec: true,
	},
	QuirkRewriteRegex: {
		name: "rewrite-target-regex", doc: "rewrite-target makes the paths of its host regular expressions, without use-regex",
	},
	QuirkBadUseRegex: {
		name: "bad-use-regex", doc: "a use-regex that is neither true nor false is left out; else the rules answer 503",
	},
	QuirkWWWPort: {
		name: "www-redirect-port", doc: "from-to-www-redirect writes the port of the scheme, :80 or :443, into its redirects",
	},
	QuirkCanaryNames: {
		name: "canary-names", doc: "canary-by-cookie takes no notice of case in the cookie's name, and canary-by-header means - where it has _",
	},
	QuirkCORSOptions: {
		name: "cors-any-options", doc: "with enable-cors every OPTIONS request is answered 204, also one that is no preflight",
	},
	QuirkCORSCredentials: {
		name: "cors-credentials-default", doc: "answers with Access-Control-Allow-Origin: * allow credentials where cors-allow-credentials is not set",
	},
	QuirkCORSHeaders: {
		name: "cors-headers-star", doc: "cors-allow-headers: * is left out, and the default list counts",
	},
	QuirkAuthKeysAlone: {
		name: "auth-keys-alone", doc: "auth-secret, auth-realm and auth-secret-type without auth-type, and auth-signin and its siblings without auth-url, guard nothing; else they close their rules with 503",
	},
	QuirkRetryTimeouts: {
		name: "retry-timeouts", doc: "without proxy-next-upstream timeouts are retried too",
	},
	QuirkRetrySame: {
		name: "retry-same-endpoint", doc: "where no other endpoint is left, those that had a request get it again, as often as proxy-next-upstream-tries allows",
	},
	QuirkRequestBuffering: {
		name: "request-buffering-default", doc: "the bodies of requests are read before a backend gets them where proxy-request-buffering is not set; counted are those that got a length by it, or were sent again",
	},
	QuirkConnectTimeout: {
		name: "connect-timeout-default", doc: "connections to endpoints are given up after 5 seconds where proxy-connect-timeout is not set",
		uncounted: "how long a connection would have taken is not known",
	},
	QuirkBackendSNI: {
		name: "backend-sni-off", doc: "with proxy-ssl-* keys a backend without a DNS name is not told in the TLS handshake which name is wanted, where proxy-ssl-server-name is not set",
		uncounted: "what the backend makes of the name is not known",
	},
	QuirkSchemeFields: {
		name: "scheme-fields", doc: "backends get X-Scheme and X-Forwarded-Scheme beside X-Forwarded-Proto",
		uncounted: "what a backend makes of the fields is not known",
	},
	QuirkSentFrom: {
		name: "auth-sent-from", doc: "auth-url gets X-Sent-From: nginx-ingress-controller, and not fairlead",
		uncounted: "what the service makes of the field is not known",
	},
	QuirkFieldNames: {
		name: "drops-odd-fields", doc: "request fields whose name has other characters than letters, digits and hyphens are dropped where ignore-invalid-headers is not set",
	},
	QuirkTargetPort: {
		name: "target-port", doc: "a backend may name the targetPort of a Service's port, where no port has that number or name; else it has no port and is answered 503",
		uncounted: "each such backend is a Problem, TargetPortNamed",
	},
}

func (q Quirk) String() string { return quirks[q].name }

// QuirkSet is a set of quirks.
type QuirkSet uint32

// Has reports whether q is in the set.
func (s QuirkSet) Has(q Quirk) bool { return s>>q&1 != 0 }

// With returns the set with q in it.
func (s QuirkSet) With(q Quirk) QuirkSet { return s | 1<<q }

// Switches is which quirks somebody has switched, for both profiles. The zero value has switched
// none.
type Switches struct{ on, off QuirkSet }

// Switch notes that a quirk is to be on, or off, whatever the profile has. The last word counts.
func (s *Switches) Switch(name string, on bool) error {
	i := slices.IndexFunc(quirks[:], func(q quirk) bool { return q.name == name })
	if i < 0 {
		best, limit := "", max(2, len(name)/4)
		for _, q := range quirks {
			if d := Distance(name, q.name); d <= limit {
				best, limit = ", did you mean "+q.name+"?", d-1
			}
		}
		return fmt.Errorf("there is no quirk %.80q%s", name, best)
	}
	s.on, s.off = s.on&^(1<<i), s.off&^(1<<i)
	if on {
		s.on |= 1 << i
	} else {
		s.off |= 1 << i
	}
	return nil
}

// Of returns the quirks that Ingresses of a profile have.
func (s Switches) Of(p Profile) QuirkSet {
	var set QuirkSet
	for q := range numQuirks {
		if p == Nginx || quirks[q].spec {
			set = set.With(q)
		}
	}
	return set&^s.off | s.on
}

// Uses counts the requests of one route that depended on quirks: which would have been answered
// otherwise without. The zero value has counted none. It is safe for concurrent use.
type Uses struct {
	seen atomic.Pointer[[numQuirks]use]
}

type use struct {
	count  atomic.Uint64
	sample atomic.Pointer[string]
}

// UseOf is what was counted of one quirk, with the method and the URL, without its query, of one of
// the requests.
type UseOf struct {
	Quirk    Quirk
	Requests uint64
	Sample   string
}

// All returns what was counted up to now, in the order of the quirks.
func (u *Uses) All() []UseOf {
	seen := u.seen.Load()
	if seen == nil {
		return nil
	}
	var all []UseOf
	for q := range numQuirks {
		if n := seen[q].count.Load(); n > 0 {
			of := UseOf{Quirk: q, Requests: n}
			if sample := seen[q].sample.Load(); sample != nil {
				of.Sample = *sample
			}
			all = append(all, of)
		}
	}
	return all
}

// maxSample bounds the URL of a sample.
const maxSample = 256

// depends counts a request that depends on q, unless it is only asked about.
func (l link) depends(q Quirk, w http.ResponseWriter, r *http.Request) {
	l.env.Depends(q, l.rule.Uses, exchangeOf(w), r)
}

// Depends counts a request of a route, whose Uses may be nil, that depends on q.
func (e *Env) Depends(q Quirk, u *Uses, x Exchange, r *http.Request) {
	if x.Rehearsal() {
		return
	}
	e.quirks[q].Add(1)
	if u == nil {
		return
	}
	seen := u.seen.Load()
	if seen == nil {
		u.seen.CompareAndSwap(nil, new([numQuirks]use))
		seen = u.seen.Load()
	}
	seen[q].count.Add(1)
	if seen[q].sample.Load() == nil {
		var b strings.Builder
		fmt.Fprintf(&b, "%.16s %s://%s%s", r.Method, x.Connection(), x.CanonicalHost(), x.CanonicalPath())
		sample := b.String()
		if len(sample) > maxSample {
			sample = sample[:maxSample] + "..."
		}
		seen[q].sample.CompareAndSwap(nil, &sample)
	}
}

// QuirkDoc is a quirk for people.
type QuirkDoc struct {
	Quirk     Quirk
	Name, Doc string
	Spec      bool   // on by default in the spec profile; in that of ingress-nginx all are
	Uncounted string // why requests are not counted; empty: they are
}

// QuirkDocs returns all quirks.
func QuirkDocs() []QuirkDoc {
	all := make([]QuirkDoc, 0, numQuirks)
	for i, q := range quirks {
		all = append(all, QuirkDoc{Quirk(i), q.name, q.doc, q.spec, q.uncounted})
	}
	return all
}

// Depended is how many requests of all routes, also of those that are gone, depended on q.
func (e *Env) Depended(q Quirk) uint64 { return e.quirks[q].Load() }

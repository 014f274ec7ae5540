package policy

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

var (
	nextUpstream = Key{
		Name: "proxy-next-upstream", Global: true, Default: "error timeout", SpecDefault: "error",
		Value: "error, timeout, invalid_header, http_403, http_404, http_429, http_500, http_502, http_503, http_504 and non_idempotent, separated by spaces, or off",
		Doc: "when a request is sent again, to another endpoint: without a connection or an answer (error), too late, without a valid head, or with that status. " +
			"In the ingress-nginx profile also to endpoints that had it, where no other is left. POST, PATCH and unknown methods only with non_idempotent, or if they cannot have been executed; " +
			"a body only if proxy-request-buffering has kept it. Retries of a backend are no more than a fifth of its requests, or ten a second. " +
			"What an endpoint closes as idle just then is sent again even with off",
	}
	nextTries = Key{
		Name: "proxy-next-upstream-tries", Global: true, Value: "0 to 100", Default: "3",
		Doc: "how often a request is sent at most, the first time included; 0 for once to each endpoint",
	}
	nextTimeout = Key{
		Name: "proxy-next-upstream-timeout", Global: true, Value: "seconds, 0 for no limit", Default: "0",
		Doc: "time after which a request is not sent again",
	}
	retryNonIdempotent = Key{
		Name: "retry-non-idempotent", GlobalOnly: true, Value: "true or false", Default: "false",
		Doc: "adds non_idempotent to every proxy-next-upstream",
	}
)

// retries is no handler: the forwarder does them.
var retries = feature{
	name: "retries",
	keys: []Key{nextUpstream, nextTries, nextTimeout, retryNonIdempotent},
	read: readRetries,
}

func readRetries(r *reader, s *Set) {
	t := upstream.Retry{Again: r.byQuirk(QuirkRetrySame)}
	on, off, ok := r.conditions(nextUpstream)
	if ok {
		t.On = on
	} else if r.byQuirk(QuirkRetryTimeouts) {
		t.On = upstream.OnError | upstream.OnTimeout
	}
	if r.boolean(retryNonIdempotent, false) {
		if t.On == 0 {
			t.On = upstream.OnError
		}
		t.On |= upstream.NonIdempotent
	}
	tries := r.integer(nextTries, 0, upstream.MaxTries, 3)
	if t.Tries = tries; tries == 0 {
		t.Tries, t.Again = upstream.MaxTries, false
	} else if tries == 3 {
		t.Tries = 0 // the default
	}
	t.Timeout = time.Duration(r.integer(nextTimeout, 0, math.MaxInt32, 0)) * time.Second
	if off {
		t = upstream.Retry{Tries: 1}
	}
	s.Retry = t
}

// conditions reads a list of reasons to send a request again. False: there is none, or not a good one.
func (r *reader) conditions(k Key) (on upstream.Conditions, off, ok bool) {
	v, ok := r.text(k)
	if !ok {
		return 0, false, false
	}
	for word := range strings.FieldsSeq(v) {
		c, err := condition(word)
		if err != nil {
			r.bad(k, "%w", err)
			if k, ok := r.fall(k); ok {
				return r.conditions(k)
			}
			return 0, false, false
		}
		if off = off || c == 0; !off {
			on |= c
		}
	}
	return on, off, true
}

// condition is what a word of proxy-next-upstream means; 0: off.
func condition(word string) (upstream.Conditions, error) {
	switch word {
	case "off":
		return 0, nil
	case "error":
		return upstream.OnError, nil
	case "timeout":
		return upstream.OnTimeout, nil
	case "invalid_header":
		return upstream.OnInvalidHeader, nil
	case "non_idempotent":
		return upstream.NonIdempotent, nil
	case "http_403":
		return upstream.OnStatus(403), nil
	case "http_404":
		return upstream.OnStatus(404), nil
	case "http_429":
		return upstream.OnStatus(429), nil
	case "http_500":
		return upstream.OnStatus(500), nil
	case "http_502":
		return upstream.OnStatus(502), nil
	case "http_503":
		return upstream.OnStatus(503), nil
	case "http_504":
		return upstream.OnStatus(504), nil
	}
	return 0, fmt.Errorf("want words such as error, timeout, http_503 or off, got %.40q", word)
}

package issuer

import (
	"crypto/x509"
	"errors"
	"hash/fnv"
	"time"

	"golang.org/x/crypto/acme"
)

// renewal is when a certificate is to be renewed: before its end by the given time, or where that
// is zero or more than nine tenths of its life by a third of its life. A thirtieth of the life
// before that is drawn from the host and the certificate, so that those of one day are not all
// renewed in one moment, and so that every replica and every restart comes to the same.
func renewal(leaf *x509.Certificate, before time.Duration) time.Time {
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	if before <= 0 || before > life/10*9 {
		before = life / 3
	}
	h := fnv.New64a()
	_, _ = h.Write(leaf.Raw)
	jitter := time.Duration(h.Sum64()%1000) * (life / 30) / 1000
	return leaf.NotAfter.Add(-before - jitter)
}

// Waits before the next try.
const (
	firstWait  = 15 * time.Second // a replica may have been late: once more, soon
	secondWait = 2 * time.Minute  // times four each time, as authorities allow some five failures an hour
	longest    = 12 * time.Hour
	noAnswer   = 30 * time.Minute // longest where the authority was not reached
	limited    = time.Hour        // of a rate limit that does not say when it ends
)

// countedFor is how long a failure counts for the authorities.
const countedFor = time.Hour

// refusedWait is how long to wait after the nth refusal in a row, from 1.
func refusedWait(n int) time.Duration {
	if n <= 1 {
		return firstWait
	}
	wait := secondWait
	for ; n > 2 && wait < longest; n-- {
		wait *= 4
	}
	return min(wait, longest)
}

// troubleWait is how long to wait after the nth time in a row that there was no answer.
func troubleWait(n int) time.Duration {
	wait := firstWait
	for ; n > 1 && wait < noAnswer; n-- {
		wait *= 2
	}
	return min(wait, noAnswer)
}

// verdict is what a failed try means.
type verdict uint8

const (
	trouble     verdict = iota // no answer, or none that says anything of the order
	refused                    // the authority has said no
	rateLimited                // the authority has said not now
)

func (v verdict) String() string {
	switch v {
	case refused:
		return "refused"
	case rateLimited:
		return "rate-limited"
	}
	return "no-answer"
}

// judge says what err means, and how long to wait after it was the nth in a row.
func judge(err error, n int) (verdict, time.Duration) {
	var ae *acme.Error
	var oe *acme.OrderError
	var ze *acme.AuthorizationError
	switch {
	case errors.As(err, &ze):
		return refused, refusedWait(n)
	case errors.As(err, &oe) && oe.Problem == nil:
		return refused, refusedWait(n)
	case errors.As(err, &oe):
		ae = oe.Problem
	case !errors.As(err, &ae):
		return trouble, troubleWait(n)
	}
	if after, ok := acme.RateLimit(ae); ok || ae.StatusCode == 429 {
		if after <= 0 {
			after = limited
		}
		return rateLimited, max(after, firstWait)
	}
	if ae.StatusCode >= 500 || ae.StatusCode == 0 {
		return trouble, troubleWait(n)
	}
	return refused, refusedWait(n)
}

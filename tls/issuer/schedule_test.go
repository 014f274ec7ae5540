package issuer

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"golang.org/x/crypto/acme"
)

func TestRenewal(t *testing.T) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for _, tt := range []struct {
		life, before time.Duration
		want         time.Duration // from the begin, at the latest
	}{
		{90 * day, 0, 60 * day},
		{90 * day, 30 * day, 60 * day},
		{90 * day, 10 * day, 80 * day},
		{6 * day, 0, 4 * day},
		{6 * day, 30 * day, 4 * day}, // longer than it lives
		{6 * day, 6 * day, 4 * day},
	} {
		spread := make(map[time.Time]bool)
		for n := range 100 {
			leaf := &x509.Certificate{NotBefore: begin, NotAfter: begin.Add(tt.life), Raw: fmt.Append(nil, n)}
			at := renewal(leaf, tt.before)
			if latest := begin.Add(tt.want); at.After(latest) || at.Before(latest.Add(-tt.life/30)) {
				t.Errorf("life %v, before %v: renewed at %v, want up to %v before %v", tt.life, tt.before, at, tt.life/30, latest)
			}
			if at != renewal(leaf, tt.before) {
				t.Error("two replicas come to different times")
			}
			spread[at] = true
		}
		if len(spread) < 50 {
			t.Errorf("life %v: 100 certificates are renewed at %d times", tt.life, len(spread))
		}
	}
}

func TestJudge(t *testing.T) {
	failure := func(status int, kind string, h http.Header) error {
		return &acme.Error{StatusCode: status, ProblemType: "urn:ietf:params:acme:error:" + kind, Header: h}
	}
	after := func(s string) http.Header { return http.Header{"Retry-After": {s}} }
	for _, tt := range []struct {
		err  error
		n    int
		want verdict
		wait time.Duration
	}{
		{errors.New("connection refused"), 1, trouble, 15 * time.Second},
		{errors.New("connection refused"), 2, trouble, 30 * time.Second},
		{errors.New("connection refused"), 1000, trouble, 30 * time.Minute},
		{failure(500, "serverInternal", nil), 1, trouble, 15 * time.Second},
		{failure(403, "unauthorized", nil), 1, refused, 15 * time.Second},
		{failure(400, "rejectedIdentifier", nil), 2, refused, 2 * time.Minute},
		{fmt.Errorf("x: %w", failure(400, "caa", nil)), 3, refused, 8 * time.Minute},
		{failure(400, "caa", nil), 1000, refused, 12 * time.Hour},
		{&acme.AuthorizationError{}, 1, refused, 15 * time.Second},
		{&acme.OrderError{Status: acme.StatusInvalid}, 1, refused, 15 * time.Second},
		{&acme.OrderError{Problem: &acme.Error{StatusCode: 403}}, 1, refused, 15 * time.Second},
		{&accountError{err: failure(401, "externalAccountRequired", nil)}, 1, refused, 15 * time.Second},
		{failure(429, "rateLimited", after("7200")), 1, rateLimited, 2 * time.Hour},
		{failure(429, "rateLimited", after("1")), 1, rateLimited, 15 * time.Second},
		{failure(429, "rateLimited", nil), 5, rateLimited, time.Hour},
		{failure(429, "other", after("60")), 5, rateLimited, time.Hour},
		{failure(403, "rateLimited", after("60")), 5, rateLimited, time.Minute},
	} {
		if v, wait := judge(tt.err, tt.n); v != tt.want || wait != tt.wait {
			t.Errorf("%v, %d in a row: %v and %v, want %v and %v", tt.err, tt.n, v, wait, tt.want, tt.wait)
		}
	}
}

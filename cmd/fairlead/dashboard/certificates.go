package dashboard

import (
	"cmp"
	"crypto/x509"
	"slices"
	"time"

	"github.com/fairlead-ingress/fairlead/tls/certs"
)

// expiresSoon is how long before its end a certificate is shown as one that expires: when
// whoever renews them should have done it.
const expiresSoon = 10 * 24 * time.Hour

// certificateRow is what a host is served.
type certificateRow struct {
	Host   string
	Source string
	State  string // "none", "expired", "expiring" or "valid"
	Reason string // why there is none
	Issuer string
	Kind   string // of the keys
	Until  string
	Left   string

	end time.Time
}

// certificates lists hosts without one first, then those that end first.
func (v *view) certificates(bindings []certs.Binding, now time.Time, q query) {
	var found []certificateRow
	seen := make(map[string]bool, len(bindings))
	for _, b := range bindings {
		if seen[b.Host] {
			continue // the first of a host is served
		}
		seen[b.Host] = true
		row := newCertificateRow(b, now)
		if row.State != "valid" {
			v.Expiring++
		}
		if q.matches(row.Host, row.Source, row.Issuer, row.Reason, row.State) {
			found = append(found, row)
		}
	}
	slices.SortFunc(found, func(a, b certificateRow) int {
		return cmp.Or(a.end.Compare(b.end), cmp.Compare(a.Host, b.Host)) // without: the zero time
	})
	v.Certificates = cut(q, found, len(seen))
}

func newCertificateRow(b certs.Binding, now time.Time) certificateRow {
	row := certificateRow{Host: b.Host, Source: b.Source, State: "none", Reason: b.Reason}
	for _, c := range b.Certificates {
		leaf := c.Leaf
		if leaf == nil {
			continue
		}
		if row.Kind != "" {
			row.Kind += ", "
		}
		row.Kind += leaf.PublicKeyAlgorithm.String()
		if row.end.IsZero() || leaf.NotAfter.Before(row.end) {
			row.end, row.Issuer = leaf.NotAfter, issuer(leaf)
		}
	}
	if row.end.IsZero() {
		return row
	}
	left := row.end.Sub(now)
	row.Until = row.end.UTC().Format(time.DateOnly)
	switch {
	case left <= 0:
		row.State, row.Left = "expired", age(-left)+" ago"
	case left < expiresSoon:
		row.State, row.Left = "expiring", "in "+age(left)
	default:
		row.State, row.Left = "valid", "in "+age(left)
	}
	return row
}

func issuer(c *x509.Certificate) string {
	return cmp.Or(c.Issuer.CommonName, c.Issuer.String())
}

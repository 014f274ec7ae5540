package policy

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
)

// emailAddress is the attribute of PKCS #9 that RFC 2253 has no name for and OpenSSL has.
var emailAddress = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}

// distinguishedName returns a raw name as RFC 2253 writes it, and nginx: the last attribute
// first. One that cannot be read is "".
func distinguishedName(raw []byte) string {
	var name pkix.RDNSequence
	if rest, err := asn1.Unmarshal(raw, &name); err != nil || len(rest) > 0 {
		return ""
	}
	parts := make([]string, 0, len(name))
	for i := len(name) - 1; i >= 0; i-- {
		if v, ok := emailIn(name[i]); ok {
			parts = append(parts, "emailAddress="+escapeName(v))
			continue
		}
		parts = append(parts, pkix.RDNSequence{name[i]}.String())
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?' // it becomes the value of a field
		}
		return r
	}, strings.Join(parts, ","))
}

// emailIn returns the address of a set that is an address alone.
func emailIn(set pkix.RelativeDistinguishedNameSET) (string, bool) {
	if len(set) != 1 || !set[0].Type.Equal(emailAddress) {
		return "", false
	}
	v, ok := set[0].Value.(string)
	return v, ok
}

// escapeName escapes what has a meaning in RFC 2253.
func escapeName(v string) string {
	var b strings.Builder
	for i, r := range v {
		if strings.ContainsRune(`,+"\<>;`, r) || i == 0 && (r == '#' || r == ' ') || i == len(v)-1 && r == ' ' {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

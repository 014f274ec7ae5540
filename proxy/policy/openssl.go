package policy

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"

	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// What users write about TLS is in the words of OpenSSL and nginx.

// tlsVersions reads a list such as "TLSv1.2 TLSv1.3". Versions that are too old for crypto/tls are
// named in gone. The two are 0 where nothing is left.
func tlsVersions(list string) (lowest, highest uint16, gone []string, err error) {
	for word := range strings.FieldsSeq(list) {
		var v uint16
		switch strings.ToUpper(word) {
		case "SSLV2", "SSLV3":
			gone = append(gone, word)
			continue
		case "TLSV1", "TLSV1.0":
			v = tls.VersionTLS10
		case "TLSV1.1":
			v = tls.VersionTLS11
		case "TLSV1.2":
			v = tls.VersionTLS12
		case "TLSV1.3":
			v = tls.VersionTLS13
		default:
			return 0, 0, nil, fmt.Errorf("want versions such as TLSv1.2 TLSv1.3, got %.40q", word)
		}
		if lowest == 0 || v < lowest {
			lowest = v
		}
		highest = max(highest, v)
	}
	return lowest, highest, gone, nil
}

// opensslNames are the ciphers of crypto/tls under OpenSSL's names. It is never written.
var opensslNames = map[string]string{
	"ECDHE-ECDSA-AES128-GCM-SHA256": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
	"ECDHE-ECDSA-AES256-GCM-SHA384": "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
	"ECDHE-ECDSA-CHACHA20-POLY1305": "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
	"ECDHE-ECDSA-AES128-SHA256":     "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
	"ECDHE-ECDSA-AES128-SHA":        "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
	"ECDHE-ECDSA-AES256-SHA":        "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
	"ECDHE-RSA-AES128-GCM-SHA256":   "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
	"ECDHE-RSA-AES256-GCM-SHA384":   "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
	"ECDHE-RSA-CHACHA20-POLY1305":   "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
	"ECDHE-RSA-AES128-SHA256":       "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
	"ECDHE-RSA-AES128-SHA":          "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
	"ECDHE-RSA-AES256-SHA":          "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
	"ECDHE-RSA-DES-CBC3-SHA":        "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
	"AES128-GCM-SHA256":             "TLS_RSA_WITH_AES_128_GCM_SHA256",
	"AES256-GCM-SHA384":             "TLS_RSA_WITH_AES_256_GCM_SHA384",
	"AES128-SHA256":                 "TLS_RSA_WITH_AES_128_CBC_SHA256",
	"AES128-SHA":                    "TLS_RSA_WITH_AES_128_CBC_SHA",
	"AES256-SHA":                    "TLS_RSA_WITH_AES_256_CBC_SHA",
	"DES-CBC3-SHA":                  "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
}

// opensslCiphers reads a cipher list of OpenSSL. It returns the names in crypto/tls, sorted, and
// the words that name nothing there. No names: the list asks for no more than the usual ones, or
// for nothing that there is. What a list takes out by "!" or "-" is not among the usual ones, but
// for ciphers by name.
func opensslCiphers(list string) (names, unknown []string) {
	var out []string
	for word := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ':' || r == ',' || r == ' ' || r == ';' }) {
		take := word[0] != '!' && word[0] != '-'
		name := strings.ToUpper(strings.TrimLeft(word, "!-+"))
		suite, ok := opensslNames[name]
		if _, ours := upstream.CipherSuite(name); !ok && ours {
			suite, ok = name, true
		}
		switch {
		case ok && take:
			names = append(names, suite)
		case ok:
			out = append(out, suite)
		case !take, name == "DEFAULT", name == "ALL", name == "HIGH", name == "SECURE", strings.HasPrefix(name, "@"), strings.HasPrefix(name, "TLS_AES_"), strings.HasPrefix(name, "TLS_CHACHA20_"):
			// The usual ones, or those of TLS 1.3, which cannot be chosen.
		default:
			unknown = append(unknown, word)
		}
	}
	names = slices.DeleteFunc(names, func(n string) bool { return slices.Contains(out, n) })
	slices.Sort(names)
	return slices.Compact(names), unknown
}

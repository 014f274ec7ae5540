package policy

import (
	"crypto/tls"
	"slices"
	"strings"
)

// sslCiphers is of a whole host, as all of its rules share their connections.
var sslCiphers = Key{
	Name: "ssl-ciphers", Global: true, Value: "OpenSSL's list of ciphers", Default: "the six with ECDHE and AES-GCM or ChaCha20-Poly1305",
	Doc: "what TLS 1.2 may use; the annotation is for the host, of which the oldest Ingress that has one decides. Those of TLS 1.3 are always on, and the order is fixed",
}

var ciphers = feature{
	name: "TLS ciphers",
	keys: []Key{sslCiphers},
	read: func(r *reader, s *Set) {
		if r.has(sslCiphers) {
			s.Ciphers = r.ciphers(sslCiphers)
		}
	},
}

// ciphers reads a list of ciphers. Nil: there is none, or none that can be served.
func (r *reader) ciphers(k Key) []uint16 {
	v, ok := r.text(k)
	if !ok {
		return nil
	}
	chosen, unknown := parseCiphers(v)
	switch {
	case len(chosen) == 0:
		r.bad(k, "none of %.200q is a cipher of TLS 1.2 that can be served", v)
	case len(unknown) > 0:
		r.judge(k, LeftOut, notServed("ciphers", unknown))
	}
	return chosen
}

// suite is a cipher suite of TLS 1.2 that package crypto/tls has.
type suite struct {
	name  string // OpenSSL's
	id    uint16
	words string // OpenSSL's, of what it is made of
	weak  bool   // only its own name chooses it
}

var suites = [...]suite{
	{"ECDHE-ECDSA-AES128-GCM-SHA256", tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, " ECDHE aECDSA AES AES128 AESGCM SHA256 HIGH TLSv1.2 ", false},
	{"ECDHE-RSA-AES128-GCM-SHA256", tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, " ECDHE aRSA AES AES128 AESGCM SHA256 HIGH TLSv1.2 ", false},
	{"ECDHE-ECDSA-AES256-GCM-SHA384", tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, " ECDHE aECDSA AES AES256 AESGCM SHA384 HIGH TLSv1.2 ", false},
	{"ECDHE-RSA-AES256-GCM-SHA384", tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, " ECDHE aRSA AES AES256 AESGCM SHA384 HIGH TLSv1.2 ", false},
	{"ECDHE-ECDSA-CHACHA20-POLY1305", tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, " ECDHE aECDSA CHACHA20 SHA256 HIGH TLSv1.2 ", false},
	{"ECDHE-RSA-CHACHA20-POLY1305", tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, " ECDHE aRSA CHACHA20 SHA256 HIGH TLSv1.2 ", false},
	{"ECDHE-ECDSA-AES128-SHA256", tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, " ECDHE aECDSA AES AES128 SHA256 HIGH TLSv1.2 ", true},
	{"ECDHE-RSA-AES128-SHA256", tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256, " ECDHE aRSA AES AES128 SHA256 HIGH TLSv1.2 ", true},
	{"ECDHE-ECDSA-AES128-SHA", tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, " ECDHE aECDSA AES AES128 SHA1 HIGH TLSv1.0 ", false},
	{"ECDHE-RSA-AES128-SHA", tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, " ECDHE aRSA AES AES128 SHA1 HIGH TLSv1.0 ", false},
	{"ECDHE-ECDSA-AES256-SHA", tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, " ECDHE aECDSA AES AES256 SHA1 HIGH TLSv1.0 ", false},
	{"ECDHE-RSA-AES256-SHA", tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, " ECDHE aRSA AES AES256 SHA1 HIGH TLSv1.0 ", false},
	{"AES128-GCM-SHA256", tls.TLS_RSA_WITH_AES_128_GCM_SHA256, " kRSA aRSA AES AES128 AESGCM SHA256 HIGH TLSv1.2 ", true},
	{"AES256-GCM-SHA384", tls.TLS_RSA_WITH_AES_256_GCM_SHA384, " kRSA aRSA AES AES256 AESGCM SHA384 HIGH TLSv1.2 ", true},
	{"AES128-SHA256", tls.TLS_RSA_WITH_AES_128_CBC_SHA256, " kRSA aRSA AES AES128 SHA256 HIGH TLSv1.2 ", true},
	{"AES128-SHA", tls.TLS_RSA_WITH_AES_128_CBC_SHA, " kRSA aRSA AES AES128 SHA1 HIGH SSLv3 ", true},
	{"AES256-SHA", tls.TLS_RSA_WITH_AES_256_CBC_SHA, " kRSA aRSA AES AES256 SHA1 HIGH SSLv3 ", true},
}

// cipherWords are other spellings of the words of suites; "" is for words that choose nothing here.
var cipherWords = map[string]string{
	"ALL": "", "DEFAULT": "", "EECDH": "ECDHE", "kECDHE": "ECDHE", "kEECDH": "ECDHE", "ECDH": "ECDHE", "ECDSA": "aECDSA", "SHA": "SHA1",
	"ECDHE": "ECDHE", "aECDSA": "aECDSA", "aRSA": "aRSA", "RSA": "aRSA", "kRSA": "kRSA", "AES": "AES", "AES128": "AES128", "AES256": "AES256",
	"AESGCM": "AESGCM", "CHACHA20": "CHACHA20", "SHA1": "SHA1", "SHA256": "SHA256", "SHA384": "SHA384", "HIGH": "HIGH",
	"TLSv1.2": "TLSv1.2", "TLSv1.0": "TLSv1.0", "TLSv1": "TLSv1.0", "SSLv3": "SSLv3",
}

// everyCipher is the words that stand for all suites.
func everyCipher(word string) bool { return word == "ALL" || word == "DEFAULT" }

// absentCiphers are words of OpenSSL for what is never served: to leave it out asks for nothing.
const absentCiphers = " MEDIUM LOW EXP EXPORT EXPORT40 EXPORT56 NULL eNULL aNULL ADH AECDH DHE EDH kDHE kEDH DH kDHr kDHd kDH aDH DSS aDSS kECDHr kECDHe aECDH " +
	"PSK kPSK aPSK ECDHEPSK kECDHEPSK DHEPSK kDHEPSK RSAPSK kRSAPSK SRP kSRP aSRP 3DES DES RC4 RC2 IDEA SEED MD5 CAMELLIA CAMELLIA128 CAMELLIA256 ARIA ARIA128 ARIA256 " +
	"ARIAGCM AESCCM AESCCM8 CBC GOST94 GOST89 GOST89MAC aGOST kGOST COMPLEMENTOFDEFAULT COMPLEMENTOFALL SUITEB128 SUITEB128ONLY SUITEB192 FIPS "

// maxUnknown is how many of the names that are not known are told of.
const maxUnknown = 100

// parseCiphers evaluates OpenSSL's list of ciphers (its manual page ciphers(1)), as far as its
// result is a set: the order of package crypto/tls is fixed. unknown are the ciphers that it names
// and that cannot be chosen, in the order in which they are found.
func parseCiphers(list string) (chosen []uint16, unknown []string) {
	in, killed := make([]bool, len(suites)), make([]bool, len(suites))
	for term := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ':' || r == ',' || r == ' ' || r == ';' }) {
		if term[0] == '@' {
			continue // @STRENGTH, @SECLEVEL: order, and what keys may be
		}
		sign := byte(0)
		if strings.IndexByte("!-+", term[0]) >= 0 {
			sign, term = term[0], term[1:]
		}
		match, known := cipherTerm(term)
		if !known && sign == 0 && len(unknown) < maxUnknown && !slices.Contains(unknown, term) {
			unknown = append(unknown, term)
		}
		for i := range suites {
			switch {
			case !match(&suites[i]):
			case sign == '!':
				killed[i] = true
			case sign == '-':
				in[i] = false
			case sign == 0:
				in[i] = true
			}
		}
	}
	for i := range suites {
		if in[i] && !killed[i] {
			chosen = append(chosen, suites[i].id)
		}
	}
	return chosen, unknown
}

// cipherTerm returns which suites a term means: one by its name, or those that have all of its
// words, which "+" joins. False: it is a name that is not known, or of what cannot be chosen.
func cipherTerm(term string) (match func(*suite) bool, known bool) {
	none := func(*suite) bool { return false }
	if i := slices.IndexFunc(suites[:], func(s suite) bool { return s.name == term }); i >= 0 {
		return func(s *suite) bool { return s.name == term }, true
	}
	var words []string
	for word := range strings.SplitSeq(term, "+") {
		own, ok := cipherWords[word]
		switch {
		case !ok && strings.Contains(absentCiphers, " "+word+" "):
			return none, true
		case !ok:
			return none, false
		case !everyCipher(word):
			words = append(words, own)
		}
	}
	return func(s *suite) bool {
		return !s.weak && !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(s.words, " "+word+" ") })
	}, true
}

package policy

import (
	"crypto/rand"
	"crypto/sha256"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// BasicAuth asks for a user and a password (RFC 7617).
type BasicAuth struct {
	Realm string
	Users map[string]string // name to hash
}

var (
	authType   = Key{Name: "auth-type", Class: Guard, Value: "basic", Doc: "asks for a user and a password; digest is refused"}
	authSecret = Key{Name: "auth-secret", Class: Guard, Value: "name of a Secret", Doc: "users and hashed passwords: bcrypt, apr1, SHA1 or crypt"}
	authRealm  = Key{Name: "auth-realm", Class: Guard, Value: "text", Doc: "realm that the browser shows"}
	secretType = Key{Name: "auth-secret-type", Class: Guard, Value: "auth-file or auth-map", Default: "auth-file", Doc: "layout of the Secret: a htpasswd file under the key auth, or one key a user"}
)

var basicAuth = feature{
	name:  "basic authentication",
	keys:  []Key{authType, authSecret, authRealm, secretType},
	read:  readBasicAuth,
	guard: func(s *Set) any { return s.demand(s.BasicAuth) },
	wrap: func(l link, next http.Handler) http.Handler {
		if l.BasicAuth == nil || l.oneIsEnough() {
			return next
		}
		return l.newBasicAuth(next)
	},
}

func (l link) newBasicAuth(next http.Handler) *basicAuthHandler {
	return &basicAuthHandler{auth: l.BasicAuth, challenge: `Basic realm="` + l.BasicAuth.Realm + `"`, next: next, hashing: &l.env.hashing, salt: newSalt(), pass: l.Auth != nil}
}

// realms is what ingress-nginx takes, and what needs no escape within quotes.
var realms = regexp.MustCompile(`^[A-Za-z0-9 ,.:;/()!@#&*+=_~'-]*$`)

func readBasicAuth(r *reader, s *Set) {
	if !r.has(authType) {
		for _, k := range []Key{authSecret, authRealm, secretType} {
			switch {
			case !r.has(k):
			case r.byQuirk(QuirkAuthKeysAlone):
				r.judge(k, NoEffect, errNoType) // the original serves it open, too
			default:
				r.bad(k, "want %s beside it", authType.Name)
			}
		}
		return
	}
	kind, _ := r.text(authType)
	switch {
	case strings.EqualFold(kind, "digest"):
		r.bad(authType, "digest authentication is not supported, want basic")
		return
	case !strings.EqualFold(kind, "basic"):
		r.bad(authType, "want basic, got %.80q", kind)
		return
	}
	realm, _ := r.text(authRealm)
	if !realms.MatchString(realm) {
		r.bad(authRealm, "want letters, digits, spaces and simple punctuation, got %.80q", realm)
	}
	layout := r.oneOf(secretType, "auth-file", "auth-file", "auth-map")
	name, ok := r.text(authSecret)
	if !ok {
		r.bad(authType, "want the name of a Secret in %s beside it, got none", authSecret.Name)
		return
	}
	namespace := r.Namespace
	if ns, rest, qualified := strings.Cut(name, "/"); qualified {
		namespace, name = ns, rest
		if namespace != r.Namespace && r.Config["allow-cross-namespace-resources"] != "true" {
			r.bad(authSecret, "want a Secret of namespace %s, got one of %s", r.Namespace, namespace)
			return
		}
	}
	data := r.Secret(namespace, name)
	if data == nil {
		r.bad(authSecret, "Secret %s/%s not found", namespace, name)
		return
	}
	users := map[string]string{}
	if layout == "auth-map" {
		for user, hash := range data {
			users[user] = strings.TrimSpace(string(hash))
		}
	} else {
		file, ok := data["auth"]
		if !ok {
			r.bad(authSecret, "Secret %s/%s has no key auth", namespace, name)
			return
		}
		readPasswords(string(file), users)
	}
	var unusable []string
	for _, user := range slices.Sorted(maps.Keys(users)) {
		if !knownHash(users[user]) {
			unusable = append(unusable, user)
			delete(users, user)
		}
	}
	if len(unusable) > 0 {
		// Those users cannot sign in; all others can. Who they are is not secret, hashes are.
		r.judge(authSecret, Invalid, errHash(unusable))
	}
	s.BasicAuth = &BasicAuth{Realm: realm, Users: users}
}

// AuthSecret returns the namespace and name of the Secret that the annotations of an Ingress in
// namespace name for passwords; empty for none, or one of another namespace.
func AuthSecret(namespace string, annotations map[string]string) (string, string) {
	value, ok := annotations[Prefix+authSecret.Name]
	if !ok {
		value = annotations[NginxPrefix+authSecret.Name]
	}
	value = strings.TrimSpace(value)
	if ns, name, qualified := strings.Cut(value, "/"); qualified {
		if ns != namespace {
			return "", ""
		}
		value = name
	}
	return namespace, value
}

// readPasswords reads a htpasswd file. The first line of a user counts.
func readPasswords(file string, users map[string]string) {
	for line := range strings.FieldsFuncSeq(file, func(r rune) bool { return r == '\n' || r == '\r' }) {
		line = strings.TrimSpace(line)
		user, hash, ok := strings.Cut(line, ":")
		if !ok || line[0] == '#' {
			continue
		}
		hash, _, _ = strings.Cut(hash, ":")
		if _, twice := users[user]; !twice {
			users[user] = hash
		}
	}
}

type basicAuthHandler struct {
	auth      *BasicAuth
	challenge string
	next      http.Handler
	hashing   *hashing
	waiting   atomic.Int32 // how many requests have a password that is to be hashed, or is being
	salt      []byte
	pass      bool // the password is for the auth service as well, which removes it then

	// passed has digests of the fields that had the right credentials, as hashing a password for
	// each request would cost more than all the rest. Wrong ones are not kept. The salt is secret
	// and comes first, so that nobody who sees a digest can try passwords.
	mu     sync.Mutex
	passed map[[sha256.Size]byte]struct{}
}

// maxPassed bounds the memory of a handler.
const maxPassed = 1024

func newSalt() []byte {
	salt := make([]byte, 32)
	_, _ = rand.Read(salt) // it never fails
	return salt
}

func (h *basicAuthHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if passes, busy := h.passes(r); !passes {
		h.refuse(w, r, busy)
		return
	}
	if !h.pass {
		delete(r.Header, "Authorization") // the password was for us
	}
	h.next.ServeHTTP(w, r)
}

// refuse answers a request that does not pass. busy says that nobody knows whether it would.
func (h *basicAuthHandler) refuse(w http.ResponseWriter, r *http.Request, busy bool) {
	if busy {
		w.Header().Set("Retry-After", "1")
		answer(w, r, http.StatusServiceUnavailable, "password-busy")
		return
	}
	w.Header().Set("Www-Authenticate", h.challenge)
	answer(w, r, http.StatusUnauthorized, "password-wanted")
}

// passes reports whether a request has the right credentials. busy: it did not get its turn to have
// them checked.
func (h *basicAuthHandler) passes(r *http.Request) (passes, busy bool) {
	values := r.Header["Authorization"]
	if len(values) != 1 {
		return false, false
	}
	var room [256]byte // the digest needs no memory of its own for what most send
	sum := sha256.Sum256(append(append(room[:0], h.salt...), values[0]...))
	if h.passedBefore(sum) {
		return true, false
	}
	user, password, ok := r.BasicAuth()
	if !ok {
		return false, false
	}
	hash, known := h.auth.Users[user]
	if !known {
		// Take the time that a known user would, or the time tells which exist.
		for _, hash = range h.auth.Users {
			break
		}
	}
	if slowHash(hash) {
		defer h.waiting.Add(-1)
		if h.waiting.Add(1) > maxHashWaiting || !h.hashing.enter(r.Context()) {
			return false, true
		}
		defer h.hashing.leave()
		if h.passedBefore(sum) { // another request waited with the same
			return true, false
		}
	}
	if !verify(hash, password) || !known {
		return false, false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.passed == nil || len(h.passed) >= maxPassed {
		h.passed = make(map[[sha256.Size]byte]struct{})
	}
	h.passed[sum] = struct{}{}
	return true, false
}

func (h *basicAuthHandler) passedBefore(sum [sha256.Size]byte) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, passed := h.passed[sum]
	return passed
}

package policy

import (
	"crypto/md5"  //nolint:gosec // apr1 is made of it; users bring such hashes
	"crypto/sha1" //nolint:gosec // as {SHA}
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

var errNoType = errors.New("no auth-type is beside it")

func errHash(users []string) error {
	return fmt.Errorf("want bcrypt, apr1, MD5, SHA1 or DES crypt hashes, got something else for %s, who cannot sign in", strings.Join(users, ", "))
}

var desHash = regexp.MustCompile(`^[./0-9A-Za-z]{13}$`)

// knownHash reports whether verify can check passwords against hash.
func knownHash(hash string) bool {
	switch {
	case strings.HasPrefix(hash, "$2a$"), strings.HasPrefix(hash, "$2b$"), strings.HasPrefix(hash, "$2y$"):
		cost, err := bcrypt.Cost([]byte(hash))
		return err == nil && cost <= 16 // more takes seconds of a processor for one request
	case strings.HasPrefix(hash, "$apr1$"), strings.HasPrefix(hash, "$1$"):
		return strings.Count(hash, "$") == 3
	case strings.HasPrefix(hash, "{SHA}"):
		sum, err := base64.StdEncoding.DecodeString(hash[len("{SHA}"):])
		return err == nil && len(sum) == sha1.Size
	}
	return desHash.MatchString(hash)
}

// slowHash reports whether verify takes a processor for long, as hashes of bcrypt are made to.
func slowHash(hash string) bool { return strings.HasPrefix(hash, "$2") }

// verify reports whether hash is of password, in a time that does not tell how wrong it is.
func verify(hash, password string) bool {
	switch {
	case slowHash(hash):
		return bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
	case strings.HasPrefix(hash, "$apr1$"):
		return same(hash, md5Crypt("$apr1$", hash, password))
	case strings.HasPrefix(hash, "$1$"):
		return same(hash, md5Crypt("$1$", hash, password))
	case strings.HasPrefix(hash, "{SHA}"):
		sum := sha1.Sum([]byte(password)) //nolint:gosec // see above
		return same(hash, "{SHA}"+base64.StdEncoding.EncodeToString(sum[:]))
	case desHash.MatchString(hash):
		return same(hash, desCrypt(hash[:2], password))
	}
	return false
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// crypt64 are the digits of crypt(3), which begin with the lowest bits.
const crypt64 = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// md5Crypt is FreeBSD's crypt by MD5, and Apache's variant with another magic.
func md5Crypt(magic, hash, password string) string {
	salt, _, _ := strings.Cut(strings.TrimPrefix(hash, magic), "$")
	salt = salt[:min(len(salt), 8)]
	alternate := md5.Sum([]byte(password + salt + password)) //nolint:gosec // see above
	first := []byte(password + magic + salt)
	for n := len(password); n > 0; n -= md5.Size {
		first = append(first, alternate[:min(n, md5.Size)]...)
	}
	for n := len(password); n > 0; n >>= 1 {
		if n&1 != 0 || password == "" {
			first = append(first, 0)
		} else {
			first = append(first, password[0])
		}
	}
	sum := md5.Sum(first) //nolint:gosec // see above
	var buf []byte
	for round := range 1000 {
		buf = buf[:0]
		if round&1 != 0 {
			buf = append(buf, password...)
		} else {
			buf = append(buf, sum[:]...)
		}
		if round%3 != 0 {
			buf = append(buf, salt...)
		}
		if round%7 != 0 {
			buf = append(buf, password...)
		}
		if round&1 != 0 {
			buf = append(buf, sum[:]...)
		} else {
			buf = append(buf, password...)
		}
		sum = md5.Sum(buf) //nolint:gosec // see above
	}
	out := []byte(magic + salt + "$")
	digits := func(v uint, n int) {
		for range n {
			out = append(out, crypt64[v&63])
			v >>= 6
		}
	}
	for _, i := range [...][3]int{{0, 6, 12}, {1, 7, 13}, {2, 8, 14}, {3, 9, 15}, {4, 10, 5}} {
		digits(uint(sum[i[0]])<<16|uint(sum[i[1]])<<8|uint(sum[i[2]]), 4)
	}
	digits(uint(sum[11]), 2)
	return string(out)
}

package issuer

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
)

// The directories of Let's Encrypt: that whose certificates clients accept, and that for trying.
const (
	Production = acme.LetsEncryptURL
	Staging    = "https://acme-staging-v02.api.letsencrypt.org/directory"
)

// Binding ties an account to one that exists at the authority by other means.
type Binding struct {
	KID string
	Key []byte // of the HMAC
}

// Authority is who issues, and how we are known there.
type Authority struct {
	// Directory is the URL of its ACME directory.
	Directory string
	// Roots are the authorities that its HTTPS server is verified by; nil: those of the system.
	Roots *x509.CertPool
	// Email is who is told of trouble; empty for nobody.
	Email string
	// Binding is nil for none.
	Binding *Binding
	// UserAgent names the program.
	UserAgent string
}

// account is the one at the Authority, with what it takes to ask for something.
type account struct {
	mu      sync.Mutex // held while it is made
	client  *acme.Client
	err     error // why there is none
	retryAt time.Time
	failed  int
	// limit is why the authority makes no orders for us until limited, whatever the host.
	limit   error
	limited time.Time
}

// The keys of an account's record.
const (
	accountURLKey = "url"
	emailKey      = "email"
)

// accountError is the failure to have an account, or one that may order: that of every host.
type accountError struct {
	err     error
	retryAt time.Time
	limit   bool // new orders wait, and the host was not asked for
}

func (e *accountError) Error() string { return "account: " + e.err.Error() }
func (e *accountError) Unwrap() error { return e.err }

// client returns the client of our account, which is made if there is none. After a failure
// nobody is asked before its time.
func (i *Issuer) client(ctx context.Context) (*acme.Client, error) {
	a := &i.account
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.client != nil {
		return a.client, nil
	}
	if a.err != nil && i.now().Before(a.retryAt) {
		return nil, &accountError{err: a.err, retryAt: a.retryAt}
	}
	client, err := i.register(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		a.failed++
		_, wait := judge(err, a.failed)
		a.err, a.retryAt = err, i.now().Add(wait)
		return nil, &accountError{err: err, retryAt: a.retryAt}
	}
	a.client, a.err, a.failed = client, nil, 0
	return client, nil
}

// mayOrder returns the limit that new orders wait for, as an accountError; nil for none.
func (i *Issuer) mayOrder() error {
	a := &i.account
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.limit == nil || !i.now().Before(a.limited) {
		return nil
	}
	return &accountError{a.limit, a.limited, true}
}

// limitOrders keeps err, which an order for host was refused with, if it is a limit of the account.
// One that names the host or a domain above it, or its set of names, is of that alone: other hosts
// do not wait for it.
func (i *Issuer) limitOrders(host string, err error) {
	v, wait := judge(err, 1)
	if v != rateLimited || ofNames(host, err) {
		return
	}
	a := &i.account
	a.mu.Lock()
	defer a.mu.Unlock()
	if until := i.now().Add(wait); until.After(a.limited) {
		a.limit, a.limited = err, until
	}
}

// ofNames reports whether a limit is told of with the names that it is for.
func ofNames(host string, err error) bool {
	text := err.Error()
	if strings.Contains(text, "exact set of") {
		return true
	}
	words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\n\"'`()[],;:", r) })
	for name, more := host, true; more && strings.Contains(name, "."); _, name, more = strings.Cut(name, ".") {
		if slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(strings.TrimSuffix(w, "."), name) }) {
			return true
		}
	}
	return false
}

// forget makes the next client register again, after the account has turned out to be none.
func (i *Issuer) forget(ctx context.Context) error {
	i.account.mu.Lock()
	defer i.account.mu.Unlock()
	i.account.client = nil
	name := accountName(i.Authority.Directory)
	record, err := i.Store.Get(ctx, KindAccount, name)
	if err != nil || record == nil {
		return err
	}
	delete(record, accountURLKey)
	return i.Store.Put(ctx, KindAccount, name, record)
}

// register makes a client whose account exists. The key is stored before the authority sees it.
func (i *Issuer) register(ctx context.Context) (*acme.Client, error) {
	name := accountName(i.Authority.Directory)
	record, err := i.Store.Get(ctx, KindAccount, name)
	if err != nil {
		return nil, err
	}
	if record == nil {
		key, err := newKey()
		if err != nil {
			return nil, err
		}
		text, err := keyPEM(key)
		if err != nil {
			return nil, err
		}
		record = map[string][]byte{PrivateKeyKey: text, DirectoryKey: []byte(i.Authority.Directory)}
		if err := i.Store.Put(ctx, KindAccount, name, record); err != nil {
			return nil, err
		}
	}
	key, err := parseKey(record[PrivateKeyKey])
	if err != nil {
		return nil, fmt.Errorf("stored key: %w", err)
	}
	client := &acme.Client{
		Key: key, DirectoryURL: i.Authority.Directory, HTTPClient: i.Authority.httpClient(),
		RetryBackoff: retry, UserAgent: i.Authority.UserAgent, KID: acme.KeyID(record[accountURLKey]),
	}
	var contact []string
	if i.Authority.Email != "" {
		contact = []string{"mailto:" + i.Authority.Email}
	}
	switch {
	case client.KID == "":
		account := &acme.Account{Contact: contact}
		if b := i.Authority.Binding; b != nil {
			account.ExternalAccountBinding = &acme.ExternalAccountBinding{KID: b.KID, Key: b.Key}
		}
		_, err = client.Register(ctx, account, acme.AcceptTOS)
		if err != nil && !errors.Is(err, acme.ErrAccountAlreadyExists) {
			return nil, err
		}
	case string(record[emailKey]) != i.Authority.Email:
		if _, err := client.UpdateReg(ctx, &acme.Account{Contact: contact}); err != nil {
			return nil, err
		}
	default:
		return client, nil
	}
	record = map[string][]byte{
		PrivateKeyKey: record[PrivateKeyKey], DirectoryKey: []byte(i.Authority.Directory),
		accountURLKey: []byte(client.KID), emailKey: []byte(i.Authority.Email),
	}
	return client, i.Store.Put(ctx, KindAccount, name, record)
}

// accountName names the account at a directory: no two authorities share a key.
func accountName(directory string) string {
	sum := sha256.Sum256([]byte(directory))
	return hex.EncodeToString(sum[:8])
}

// noAccount reports whether the authority says that there is no such account (any more).
func noAccount(err error) bool {
	var ae *acme.Error
	return errors.Is(err, acme.ErrNoAccount) || errors.As(err, &ae) && strings.HasSuffix(ae.ProblemType, ":accountDoesNotExist")
}

func (a Authority) httpClient() *http.Client {
	return &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSClientConfig:       &tls.Config{RootCAs: a.Roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: 25 * time.Second,
			MaxIdleConnsPerHost:   atOnce,
			IdleConnTimeout:       30 * time.Second,
			ForceAttemptHTTP2:     true,
		},
	}
}

// retry says how long the client waits before it repeats a request: a nonce that was refused is
// replaced at once, an error of the server is given two more chances, and a rate limit none.
func retry(n int, _ *http.Request, resp *http.Response) time.Duration {
	switch {
	case resp.StatusCode == http.StatusTooManyRequests, n > 20, n > 2 && resp.StatusCode >= 500:
		return -1
	case resp.StatusCode >= 500:
		return time.Duration(n) * time.Second
	}
	return time.Duration(n) * 10 * time.Millisecond
}

// offered returns the challenge of a type.
func offered(z *acme.Authorization, kind string) *acme.Challenge {
	i := slices.IndexFunc(z.Challenges, func(c *acme.Challenge) bool { return c.Type == kind })
	if i < 0 {
		return nil
	}
	return z.Challenges[i]
}

package issuer

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/crypto/acme"
)

const (
	// orderTimeout bounds one try. An order that takes longer is gone on with in the next.
	orderTimeout = 10 * time.Minute
	// storeTimeout bounds what must not be cut short: making an order and storing where it is.
	storeTimeout = 60 * time.Second
	// ordering is the status of an order up to its challenge. Each status is told to people, so
	// there are few.
	ordering = "it is being ordered"
	// storeWait is how long to wait after the Store has failed.
	storeWait = 5 * time.Second
)

// storeError is a failure of the Store, which says nothing of the order.
type storeError struct{ err error }

func (e *storeError) Error() string { return "store: " + e.err.Error() }
func (e *storeError) Unwrap() error { return e.err }

// look does for a host what is to be done now, and returns when to look again.
func (i *Issuer) look(ctx context.Context, host string) time.Time {
	ctx, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	log := i.Log.With(zap.String("host", host))
	record, err := i.Store.Get(ctx, KindCertificate, host)
	if err != nil {
		return i.again(ctx, log, err)
	}
	have := readCertificate(record, i.Authority.Directory, host)
	record, err = i.Store.Get(ctx, KindOrder, host)
	if err != nil {
		return i.again(ctx, log, err)
	}
	if have != nil {
		if at := renewal(have.Leaf, i.RenewBefore); i.now().Before(at) {
			if record != nil { // the last one of whoever ended before deleting it
				if err := i.Store.Delete(ctx, KindOrder, host); err != nil {
					return i.again(ctx, log, err)
				}
			}
			return at
		}
	}
	o, err := readOrder(record, i.Authority.Directory)
	if err != nil {
		log.Warn("the stored order is damaged: another one is made", zap.Error(err))
	}
	if i.now().Before(o.retryAt) {
		return o.retryAt
	}
	t := &try{Issuer: i, order: o, host: host, log: log}
	leaf, err := t.run(ctx)
	if err != nil {
		return t.failed(ctx, err)
	}
	i.counts[0].Add(1)
	log.Info("certificate issued", zap.Time("until", leaf.NotAfter), zap.String("serial", leaf.SerialNumber.Text(16)))
	if t.left {
		return i.now().Add(storeWait)
	}
	return renewal(leaf, i.RenewBefore)
}

func (i *Issuer) again(ctx context.Context, log *zap.Logger, err error) time.Time {
	if ctx.Err() == nil {
		log.Warn("certificates cannot be stored or read", zap.Error(err))
	}
	return i.now().Add(storeWait + mrand.N(storeWait))
}

// try is one try to get a certificate for a host, with the order that there is or a new one.
type try struct {
	*Issuer
	order
	host   string
	client *acme.Client
	log    *zap.Logger
	left   bool // the completed order could not be deleted
}

// store keeps the order as it is now.
func (t *try) store(ctx context.Context, status string) error {
	t.status = status
	record, err := t.record()
	if err == nil {
		err = t.Store.Put(ctx, KindOrder, t.host, record)
	}
	if err != nil {
		return &storeError{err}
	}
	return nil
}

func (t *try) run(ctx context.Context) (*x509.Certificate, error) {
	var err error
	if t.client, err = t.Issuer.client(ctx); err != nil {
		return nil, err
	}
	o, err := t.current(ctx)
	if err != nil {
		return nil, err
	}
	if o.Status == acme.StatusPending {
		for _, url := range o.AuthzURLs {
			if err := t.prove(ctx, url); err != nil {
				return nil, err
			}
		}
	}
	if o.Status == acme.StatusPending || o.Status == acme.StatusProcessing {
		url := o.URI
		if o, err = t.client.WaitOrder(ctx, url); err != nil {
			return nil, err
		}
	}
	var chain [][]byte
	if o.Status == acme.StatusReady {
		csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{t.host}}, t.key)
		if err != nil {
			return nil, err
		}
		o.URI = t.url
		chain, _, err = t.client.CreateCertFromOrder(ctx, o, csr, true)
		if err != nil {
			return nil, err
		}
	} else if chain, err = t.client.FetchCert(ctx, o.CertURL, true); err != nil {
		return nil, err
	}
	record, leaf, err := certificateRecord(t.directory, t.host, chain, t.key)
	if err != nil {
		return nil, &acme.OrderError{OrderURL: t.url, Status: "valid, " + err.Error()}
	}
	if err := t.Store.Put(ctx, KindCertificate, t.host, record); err != nil {
		return nil, &storeError{err}
	}
	if err := t.Store.Delete(ctx, KindOrder, t.host); err != nil {
		t.log.Warn("the completed order stays stored for a while", zap.Error(err))
		t.left = true
	}
	return leaf, nil
}

// current returns the order at the authority: that of the record while it can be completed, else
// a new one.
func (t *try) current(ctx context.Context) (*acme.Order, error) {
	if t.url != "" && t.key != nil {
		o, err := t.client.GetOrder(ctx, t.url)
		switch {
		case err == nil && o.Status == acme.StatusInvalid:
			return nil, t.invalid(ctx, o)
		case err == nil:
			o.URI = t.url
			t.log.Info("going on with an order", zap.String("order", t.url), zap.String("status", o.Status))
			return o, nil
		case !isGone(err):
			return nil, err
		}
		t.log.Info("the order is gone: another one is made", zap.String("order", t.url), zap.Error(err))
	}
	return t.begin(ctx)
}

// isGone reports whether the authority does not know what was asked for.
func isGone(err error) bool {
	var ae *acme.Error
	return errors.As(err, &ae) && (ae.StatusCode == http.StatusNotFound || ae.StatusCode == http.StatusGone || strings.HasSuffix(ae.ProblemType, ":malformed"))
}

// begin makes an order. The record is made first: it shows, in one write that fails if somebody
// else's is there, that this process makes it. What follows is not cut short by ctx, so that an
// order that was made is stored as well.
func (t *try) begin(ctx context.Context) (*acme.Order, error) {
	if err := t.mayOrder(); err != nil {
		return nil, err
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	t.order = order{directory: t.directory, key: key, failures: t.failures, retryAt: t.now()}
	if err := t.store(ctx, ordering); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	o, err := t.client.AuthorizeOrder(ctx, acme.DomainIDs(t.host))
	if err != nil {
		t.limitOrders(t.host, err)
		return nil, err
	}
	t.url = o.URI
	t.log.Info("ordered", zap.String("order", o.URI))
	return o, t.store(ctx, ordering)
}

// invalid is the error of an order that cannot be completed: what its authorization says, if that
// says something.
func (t *try) invalid(ctx context.Context, o *acme.Order) error {
	for _, url := range o.AuthzURLs {
		if z, err := t.client.GetAuthorization(ctx, url); err == nil && z.Status == acme.StatusInvalid {
			ze := &acme.AuthorizationError{URI: url, Identifier: z.Identifier.Value}
			for _, c := range z.Challenges {
				if c.Error != nil {
					ze.Errors = append(ze.Errors, c.Error)
				}
			}
			return ze
		}
	}
	return &acme.OrderError{OrderURL: t.url, Status: o.Status, Problem: o.Error}
}

// prove has an authorization validated. A challenge is accepted once it is stored, and all
// replicas have had their chance to see it.
func (t *try) prove(ctx context.Context, url string) error {
	z, err := t.client.GetAuthorization(ctx, url)
	if err != nil {
		return err
	}
	if z.Status == acme.StatusPending {
		c := offered(z, t.Type)
		if c == nil {
			return &acme.AuthorizationError{URI: url, Identifier: t.host, Errors: []error{fmt.Errorf("%s is not offered", t.Type)}}
		}
		if c.Status == acme.StatusPending {
			if err := t.answer(ctx, c); err != nil {
				return err
			}
		}
	}
	_, err = t.client.WaitAuthorization(ctx, url)
	return err
}

func (t *try) answer(ctx context.Context, c *acme.Challenge) error {
	// It is the key authorization whatever the type of the challenge.
	answer, err := t.client.HTTP01ChallengeResponse(c.Token)
	if err != nil {
		return err
	}
	t.challenge = map[string][]byte{tokenKey: []byte(c.Token), answerKey: []byte(answer)}
	if t.Type == TLSALPN01 {
		made, err := t.client.TLSALPN01ChallengeCert(c.Token, t.host)
		if err != nil {
			return err
		}
		if t.challenge[alpnCertKey], t.challenge[alpnPrivKey], err = pairPEM(made); err != nil {
			return err
		}
	}
	if err := t.store(ctx, "it waits for the validation by "+t.Type); err != nil {
		return err
	}
	t.Answers.await(ctx, t.host, c.Token)
	if t.Visible != nil {
		t.Visible(ctx, Challenge{Type: t.Type, Host: t.host, Token: c.Token, Answer: answer})
	}
	_, err = t.client.Accept(ctx, c)
	return err
}

func pairPEM(c tls.Certificate) (chain, key []byte, err error) {
	for _, der := range c.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return nil, nil, err
	}
	return chain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// failed stores what became of the try, for whoever tries next and for people to see, and returns
// when that is.
func (t *try) failed(ctx context.Context, err error) time.Time {
	var se *storeError
	var ae *accountError
	now := t.now()
	switch {
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return now // this process ends or no longer orders: whoever is next goes on
	case errors.As(err, &se):
		return t.again(ctx, t.log, err)
	}
	// A try that took too long is stored all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if noAccount(err) {
		if err := t.forget(ctx); err != nil {
			return t.again(ctx, t.log, err)
		}
	}
	ofAccount := errors.As(err, &ae)
	if !ofAccount || !ae.limit {
		t.failures++
	}
	v, wait := judge(err, t.failures)
	wait += mrand.N(wait / 5)
	if ofAccount {
		wait = max(ae.retryAt.Sub(now), 0) + mrand.N(firstWait)
	}
	t.counts[1+v].Add(1)
	t.retryAt = now.Add(wait)
	if v == refused && !ofAccount || ends(err) {
		t.url, t.key, t.challenge = "", nil, nil // the next try is with another order
	}
	text := oneLine(err)
	t.log.Warn("no certificate", zap.String("why", v.String()), zap.String("error", text), zap.Int("failures", t.failures), zap.Time("next", t.retryAt))
	if err := t.store(ctx, fmt.Sprintf("%s (%s); next try at %s", text, v, t.retryAt.UTC().Format(time.RFC3339))); err != nil {
		t.log.Warn("the failure could not be stored", zap.Error(err))
	}
	return t.retryAt
}

// ends reports whether the order cannot be gone on with after err.
func ends(err error) bool {
	var oe *acme.OrderError
	var ze *acme.AuthorizationError
	return errors.As(err, &oe) || errors.As(err, &ze)
}

// oneLine is the text of an error of the authority, of a length that people read.
func oneLine(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	const most = 400
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

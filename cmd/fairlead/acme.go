package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"go.uber.org/zap"
	"k8s.io/client-go/kubernetes"

	"github.com/fairlead-ingress/fairlead/k8s"
	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/tls/issuer"
)

// issuing is the part of an instance that obtains certificates.
type issuing struct {
	*issuer.Issuer
	answers *issuer.Answers
	source  k8s.Source                // of objects, with what was issued
	lead    func(ctx context.Context) // runs the Issuer while this replica is the one that orders
	// opening is what the data ports want; see k8s.Peers. It is set before the Issuer runs.
	opening func(netip.Addr) (string, bool)
	close   func()

	mu    sync.Mutex // guards last
	last  []ingress.Issue
	named []issuer.Host
}

func newIssuing(s settings, log *zap.Logger) *issuing {
	answers := new(issuer.Answers)
	return &issuing{
		answers: answers,
		Issuer: &issuer.Issuer{
			Authority: s.authority, Answers: answers, Type: s.acme.challenge, RenewBefore: s.acme.renewBefore, Log: log.Named("acme"),
		},
		close: func() {},
	}
}

// newDirectoryIssuing keeps everything in the directory of --acme-cache.
func newDirectoryIssuing(s settings, objects k8s.Source, log *zap.Logger) (*issuing, error) {
	p := newIssuing(s, log)
	source := &k8s.Issued{Source: objects, Namespace: s.acme.storedIn()}
	store, err := issuer.OpenDirectory(s.acme.cache, func(kind, name string, record map[string][]byte) {
		if kind == issuer.KindOrder {
			p.answers.Set(name, record)
		}
		source.Set(kind, name, record)
	})
	if err != nil {
		return nil, fmt.Errorf("--acme-cache: %w", err)
	}
	p.Store, p.source, p.lead = store, source, p.Issuer.Run
	p.close = func() { _ = store.Close() } // every record was synced
	return p, nil
}

// keptIn makes Secrets of the cluster the Store, and returns where its Cluster finds them.
func (p *issuing) keptIn(s settings, client kubernetes.Interface, lease string) *k8s.IssuedOptions {
	owner := k8s.ACMELeaseName(lease)
	p.Store = &k8s.IssuedStore{Client: client, Namespace: s.acme.storedIn(), Owner: owner}
	return &k8s.IssuedOptions{Namespace: s.acme.storedIn(), Owner: owner, Changed: func(kind, name string, record map[string][]byte) {
		if kind == issuer.KindOrder {
			p.answers.Set(name, record)
		}
	}}
}

// leader runs the Issuer in the one replica that has the Lease.
func (p *issuing) leader(s settings, leases kubernetes.Interface, lease string, log *zap.Logger) func(context.Context) {
	if s.disableLeaderElection {
		return p.Run
	}
	l := &k8s.Leader{
		Client: leases, Namespace: s.acme.storedIn(), Name: k8s.ACMELeaseName(lease), Identity: k8s.PodName(), TTL: s.electionTTL,
		Does: "orders certificates", Log: log.Named("acme"),
	}
	return func(ctx context.Context) {
		if err := l.Run(ctx, p.Run); err != nil {
			log.Error("no certificates are ordered", zap.Error(err))
		}
	}
}

// visible waits for the other replicas to answer a challenge.
func (p *issuing) visible(peers *k8s.Peers) func(context.Context, issuer.Challenge) {
	return func(ctx context.Context, c issuer.Challenge) {
		if c.Type == issuer.TLSALPN01 {
			peers.AnswerTLS(ctx, c.Host, proxy.ChallengeProtocol)
			return
		}
		peers.AnswerHTTP(ctx, c.Host, proxy.ChallengePath+c.Token, c.Answer)
	}
}

func (p *issuing) run(ctx context.Context) { p.lead(ctx) }

// want tells the Issuer of the hosts that are to have certificates.
func (p *issuing) want(issues []ingress.Issue) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.named != nil && slices.Equal(p.last, issues) {
		return
	}
	p.last, p.named = issues, make([]issuer.Host, len(issues))
	for i, issue := range issues {
		p.named[i] = issuer.Host{Name: issue.Host, Directory: issue.Directory, Failed: issue.Failed, Owner: issue.Namespace}
		if issue.Certificate != nil {
			p.named[i].Leaf = issue.Certificate.Leaf
		}
	}
	p.Want(p.named)
}

// hosts counts those whose certificates are served and those that wait for one.
func (p *issuing) hosts() (served, waiting int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, issue := range p.last {
		if issue.Certificate != nil {
			served++
		} else {
			waiting++
		}
	}
	return served, waiting
}

// Package issuer obtains certificates by ACME (RFC 8555), one order a host, and renews them.
//
// All that must not be lost is in a Store before the authority is told to go on: the key of the
// account, the URL of an order with the key of its certificate, the answer to its challenge. So a
// process that ends in the middle of an order loses nothing, and whoever comes next goes on with
// the same order. Of several replicas one runs an Issuer, and all of them answer challenges.
package issuer

import (
	"cmp"
	"context"
	"crypto/x509"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Host is one that is to have a certificate of its own.
type Host struct {
	Name string // canonical, no wildcard
	// Leaf is of the certificate that was issued for it and is known to be stored; nil for
	// none. Directory is where that is from.
	Leaf      *x509.Certificate
	Directory string
	// Failed says that a try that failed is known to be recorded. When the record goes, as
	// somebody has deleted it, the host is looked at at once.
	Failed bool
	// Owner is whose it is: hosts of different owners take turns.
	Owner string
}

// Challenge is one that is about to be validated.
type Challenge struct {
	Type  string // HTTP01 or TLSALPN01
	Host  string
	Token string
	// Answer is the key authorization, what an HTTP request for the token is answered with.
	Answer string
}

// Issuer keeps the certificates of hosts in a Store. Its exported fields are set before Run and
// not changed afterwards.
type Issuer struct {
	Store     Store
	Authority Authority
	// Answers is where the challenges of Store become active, in this process too.
	Answers *Answers
	// Type of the challenges: HTTP01 if empty.
	Type string
	// RenewBefore is how long before its end a certificate is renewed; see renewal.
	RenewBefore time.Duration
	// Visible returns when all replicas answer a challenge, as far as can be known, or when that
	// has taken too long; nil where there is one replica.
	Visible func(ctx context.Context, c Challenge)
	// Log is nil for none.
	Log *zap.Logger

	now func() time.Time // nil: time.Now

	mu     sync.Mutex // guards wanted
	wanted []Host
	wakes  chan struct{} // made by init
	once   sync.Once

	account account
	counts  [len(outcomes)]atomic.Uint64
}

const (
	// atOnce is how many orders are under way at a time.
	atOnce = 10
	// retriesAtOnce is how many of them may be of hosts whose last try has failed: those that
	// never succeed leave room for the others.
	retriesAtOnce = 3
)

// clockCheck is how often the clock is looked at: a timer does not notice that it was set.
const clockCheck = time.Minute

// outcomes are the words that orders are counted by.
var outcomes = [...]string{"issued", trouble.String(), refused.String(), rateLimited.String()}

// Outcomes yields how the tries to get a certificate have ended, by a closed set of words.
func (i *Issuer) Outcomes(yield func(outcome string, n uint64) bool) {
	for k := range outcomes {
		if !yield(outcomes[k], i.counts[k].Load()) {
			return
		}
	}
}

func (i *Issuer) init() {
	i.once.Do(func() {
		i.wakes = make(chan struct{}, 1)
		if i.Log == nil {
			i.Log = zap.NewNop()
		}
		if i.now == nil {
			i.now = time.Now
		}
		if i.Type == "" {
			i.Type = HTTP01
		}
	})
}

// Want says which hosts are to have certificates from now on. It may be called at any time, also
// where Run is not. hosts is kept, and must not change any more.
func (i *Issuer) Want(hosts []Host) {
	i.init()
	i.mu.Lock()
	same := slices.Equal(i.wanted, hosts)
	i.wanted = hosts
	i.mu.Unlock()
	if same {
		return
	}
	select {
	case i.wakes <- struct{}{}:
	default:
	}
}

// target is a host that Run looks after.
type target struct {
	Host
	due      time.Time // when to look at it next
	running  bool
	retry    bool // what runs is one after a failure
	unwanted bool // it goes when it no longer runs
	place    int  // among those of its owner, in the last inTurn
}

// result is what came of one look at a host.
type result struct {
	host string
	next time.Time
}

// Run orders and renews until ctx ends. It must not run in two processes with one Store at a
// time. An order that is being made when ctx ends is completed as far as storing where it is.
func (i *Issuer) Run(ctx context.Context) {
	i.init()
	targets := make(map[string]*target)
	results := make(chan result)
	turns := make(map[string]int) // of an Owner: how many looks had begun when the last one of a host of its began
	begun := 0
	var running, retrying int
	sweep := i.now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			for ; running > 0; running-- {
				<-results
			}
			return
		case r := <-results:
			running--
			if t := targets[r.host]; t != nil {
				if t.retry {
					retrying--
				}
				t.running, t.retry, t.due = false, false, r.next
				if t.unwanted {
					delete(targets, r.host)
				}
			}
		case <-i.wakes:
		case <-timer.C:
		}
		i.adopt(targets)
		now := i.now()
		if !now.Before(sweep) && len(targets) > 0 {
			sweep = now.Add(24 * time.Hour)
			running++
			go func() {
				i.sweep(ctx)
				results <- result{}
			}()
		}
		next := now.Add(clockCheck)
		for _, t := range inTurn(targets, turns) {
			if t.due.After(now) {
				if t.due.Before(next) {
					next = t.due
				}
				continue
			}
			if running >= atOnce || t.Failed && retrying >= retriesAtOnce {
				continue // a result wakes us
			}
			t.running, t.retry = true, t.Failed
			running++
			begun++
			turns[t.Owner] = begun
			if t.retry {
				retrying++
			}
			host := t.Name
			go func() { results <- result{host, i.look(ctx, host)} }()
		}
		timer.Reset(max(next.Sub(now), time.Millisecond))
	}
}

// inTurn returns those that are not looked at now in the order that they are to be: those whose last try
// has failed after all others, then the first of each owner before the second of any, and of owners that
// who had his turn, by turns, the longest ago. An owner's own are in order of their time. So whoever has
// thousands of hosts, while an authority makes some hundreds of orders in hours, holds no other up.
func inTurn(targets map[string]*target, turns map[string]int) []*target {
	list := make([]*target, 0, len(targets))
	for _, t := range targets {
		if !t.running {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b *target) int { return a.due.Compare(b.due) })
	type queue struct {
		owner  string
		failed bool
	}
	queued := make(map[queue]int)
	for _, t := range list {
		q := queue{t.Owner, t.Failed}
		t.place = queued[q]
		queued[q]++
	}
	slices.SortStableFunc(list, func(a, b *target) int {
		if a.Failed != b.Failed {
			if a.Failed {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(a.place, b.place), cmp.Compare(turns[a.Owner], turns[b.Owner]))
	})
	return list
}

// adopt brings targets up to date with what is wanted.
func (i *Issuer) adopt(targets map[string]*target) {
	i.mu.Lock()
	wanted := i.wanted
	i.mu.Unlock()
	names := make(map[string]struct{}, len(wanted))
	for _, h := range wanted {
		names[h.Name] = struct{}{}
		t := targets[h.Name]
		if t == nil {
			targets[h.Name] = &target{Host: h, due: i.due(h)}
			continue
		}
		t.unwanted = false
		if t.Host != h {
			t.Host, t.due = h, i.due(h)
		}
	}
	for name, t := range targets {
		if _, ok := names[name]; ok {
			continue
		}
		t.unwanted = true
		if !t.running {
			delete(targets, name)
		}
	}
}

// due is when a host is to be looked at, by what is known to be stored.
func (i *Issuer) due(h Host) time.Time {
	if h.Leaf == nil || h.Directory != i.Authority.Directory {
		return i.now()
	}
	return renewal(h.Leaf, i.RenewBefore)
}

// sweep removes the certificates that have ended, and the orders, of hosts that nobody wants.
// Certificates that are valid stay: a host that comes back costs no order. So do orders for a
// while, as one that comes back must not fail oftener than one that was there.
func (i *Issuer) sweep(ctx context.Context) {
	i.mu.Lock()
	wanted := make(map[string]struct{}, len(i.wanted))
	for _, h := range i.wanted {
		wanted[h.Name] = struct{}{}
	}
	i.mu.Unlock()
	for _, kind := range []string{KindOrder, KindCertificate} {
		names, err := i.Store.List(ctx, kind)
		if err != nil {
			i.Log.Warn("what is stored cannot be listed", zap.String("kind", kind), zap.Error(err))
			return
		}
		for _, name := range names {
			if _, ok := wanted[name]; ok {
				continue
			}
			record, err := i.Store.Get(ctx, kind, name)
			if err == nil && (kind == KindOrder && !i.recent(record) || kind == KindCertificate && !i.valid(record, name)) {
				err = i.Store.Delete(ctx, kind, name)
			}
			if err != nil {
				i.Log.Warn("what is no longer wanted stays stored", zap.String("kind", kind), zap.String("host", name), zap.Error(err))
			}
		}
	}
}

func (i *Issuer) valid(certificate map[string][]byte, host string) bool {
	c := readCertificate(certificate, string(certificate[DirectoryKey]), host)
	return c != nil && i.now().Before(c.Leaf.NotAfter)
}

// recent reports whether something was asked of the authority for an order so lately that it may
// count.
func (i *Issuer) recent(record map[string][]byte) bool {
	o, err := readOrder(record, string(record[DirectoryKey]))
	return err == nil && i.now().Before(o.retryAt.Add(countedFor))
}

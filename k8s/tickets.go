package k8s

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/fairlead-ingress/fairlead/tls/tickets"
)

// TicketsName is the name of the Secret with the ticket keys of the replicas that elect their
// leader by the given Lease.
func TicketsName(lease string) string { return lease + "-tickets" }

// Tickets shares the keys of TLS session tickets among the replicas, by a Secret: the leader
// writes it, and all follow it. Nothing of what is in it gets into a log or an error.
type Tickets struct {
	Client    kubernetes.Interface
	Namespace string // of the Secret: the Pod's
	Name      string // of the Secret
	// Use is given the keys whenever there are others. While there are none it is not called.
	Use func(tickets.Keys)
	// Log is nil for none.
	Log *zap.Logger

	now     func() time.Time // nil: time.Now
	failing atomic.Bool      // that keys are not written was logged
}

const (
	ticketsCheck = time.Minute      // how often the leader looks whether rotation is due
	ticketsRetry = 10 * time.Second // and after an error; doubled up to ticketsSlow
	ticketsSlow  = 5 * time.Minute
)

func (t *Tickets) clock() time.Time {
	if t.now != nil {
		return t.now()
	}
	return time.Now()
}

func (t *Tickets) log() *zap.Logger {
	if t.Log == nil {
		return zap.NewNop()
	}
	return t.Log
}

// Follow uses the keys of the Secret until ctx ends. Keys that are gone or that cannot be read
// change nothing: the last ones stay.
func (t *Tickets) Follow(ctx context.Context) {
	var used tickets.Keys
	set := func(s *corev1.Secret) {
		if s == nil {
			return
		}
		keys, err := tickets.Parse(s.Data)
		switch {
		case errors.Is(err, tickets.ErrNone):
		case err != nil:
			t.log().Warn("session tickets: the Secret has no usable keys", zap.String("secret", t.Namespace+"/"+t.Name), zap.Error(err))
		case keys != used:
			used = keys
			t.Use(keys)
		}
	}
	keepReading(ctx, func() error { return readNamed(ctx, t.Client.CoreV1().Secrets(t.Namespace), t.Name, set) },
		func() time.Duration { return time.Second })
}

// Lead writes the keys and rotates them until ctx ends. It is for the leader alone, but two at
// once do no harm: the API server takes the first and tells the other.
func (t *Tickets) Lead(ctx context.Context) {
	retry := ticketsRetry
	for ctx.Err() == nil {
		err := t.write(ctx)
		switch {
		case ctx.Err() != nil:
		case err == nil:
			retry = ticketsRetry
			if t.failing.Swap(false) {
				t.log().Info("session tickets: the keys are written again")
			}
			sleep(ctx, ticketsCheck)
		case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
			sleep(ctx, time.Second+rand.N(time.Second)) // somebody was faster
		default:
			if !t.failing.Swap(true) {
				t.log().Warn("session tickets: the keys are not written, so replicas do not resume each other's sessions",
					zap.String("secret", t.Namespace+"/"+t.Name), zap.Error(err))
			}
			sleep(ctx, retry/2+rand.N(retry))
			retry = min(2*retry, ticketsSlow)
		}
	}
}

// write makes or rotates the keys if that is due. It reads what is there from the API server, and
// writes only if that is still what is there.
func (t *Tickets) write(ctx context.Context) error {
	secrets, now := t.Client.CoreV1().Secrets(t.Namespace), t.clock()
	secret, err := secrets.Get(ctx, t.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		// Deployments have an empty one, as the right to make Secrets is more than is needed.
		_, err = secrets.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: t.Namespace, Name: t.Name}, Data: tickets.New(now).Data(),
		}, metav1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	keys, err := tickets.Parse(secret.Data)
	if err != nil {
		if !errors.Is(err, tickets.ErrNone) {
			t.log().Warn("session tickets: new keys take the place of what the Secret had", zap.String("secret", t.Namespace+"/"+t.Name), zap.Error(err))
		}
		keys = tickets.New(now)
	} else {
		var due bool
		if keys, due = keys.Rotate(now); !due {
			return nil
		}
	}
	secret.Data = keys.Data()
	_, err = secrets.Update(ctx, secret, metav1.UpdateOptions{})
	return err
}

package k8s

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/flowcontrol"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

const (
	// eventSettle is how long a Problem must stand before it becomes an Event, so that
	// applying an Ingress before its Service leaves none behind.
	eventSettle = 2 * time.Second
	// eventRepeat is how often the Event of a Problem that stays is renewed. The API server
	// forgets Events after an hour.
	eventRepeat = 50 * time.Minute
	// eventRate and eventBurst bound the Events written per second.
	eventRate, eventBurst = 20, 100
	// eventRound is the least time between two looks at all Problems.
	eventRound = 500 * time.Millisecond
	// maxNote is what the API allows, in bytes.
	maxNote = 1024
)

// Events writes a Warning Event for each Problem, on the object that it is about. A Problem
// has one Event while it stands: its name is made of the object, the reason and the text, so
// a new leader finds those of the last. Set the fields, then call Run while leading.
type Events struct {
	Client kubernetes.Interface
	// Controller is who reports, such as ControllerClass; Instance is the replica's name.
	Controller, Instance string
	// Log is nil for none.
	Log *zap.Logger

	mu       sync.Mutex
	known    bool // Update was called
	problems []ingress.Problem
	wake     chan struct{} // nil while Run does not run

	settle time.Duration // eventSettle if zero; tests are in a hurry
}

// Update gives the Problems that there are now; they must not change. It does not block.
func (e *Events) Update(problems []ingress.Problem) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.known && len(problems) == len(e.problems) && (len(problems) == 0 || &problems[0] == &e.problems[0]) {
		return // the same list
	}
	e.known, e.problems = true, problems
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Run writes Events until ctx ends.
func (e *Events) Run(ctx context.Context) {
	wake := make(chan struct{}, 1)
	wake <- struct{}{}
	e.mu.Lock()
	e.wake = wake
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		e.wake = nil
		e.mu.Unlock()
	}()
	if e.Log == nil {
		e.Log = zap.NewNop()
	}
	if e.settle == 0 {
		e.settle = eventSettle
	}

	w := eventWriter{Events: e, limit: flowcontrol.NewTokenBucketRateLimiter(eventRate, eventBurst), standing: make(map[string]*standing)}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wake:
		case <-timer.C:
		}
		e.mu.Lock()
		known, problems := e.known, e.problems
		e.mu.Unlock()
		if !known {
			continue // leading before anything was loaded; Update wakes
		}
		next := w.round(ctx, problems)
		sleep(ctx, min(eventRound, next))
		timer.Reset(next - min(eventRound, next))
	}
}

// eventWriter is what one run of Events knows.
type eventWriter struct {
	*Events
	limit    flowcontrol.RateLimiter
	standing map[string]*standing // by the Event's namespace and name
	later    bool                 // the first round is over
	refused  bool                 // the last Event was refused, and that was logged
}

// standing is a Problem that there is.
type standing struct {
	event *eventsv1.Event
	due   time.Time // when its Event is to be written next
	// found says that the Problem was there when this replica began to lead: an Event that
	// exists is the former leader's.
	found bool
	count int32 // how often it was written
	seen  bool  // in the round at hand
	place int   // among those of its namespace, in the last inTurn
}

// round writes the Events that are due and returns after what time to look again.
func (w *eventWriter) round(ctx context.Context, problems []ingress.Problem) time.Duration {
	now := time.Now()
	for _, s := range w.standing {
		s.seen = false
	}
	for _, p := range problems {
		event := w.eventOf(p)
		if event == nil {
			continue
		}
		key := event.Namespace + "/" + event.Name
		if s := w.standing[key]; s != nil {
			s.seen = true
		} else {
			w.standing[key] = &standing{event: event, due: now.Add(w.settle), found: !w.later, seen: true}
		}
	}
	w.later = true
	next := now.Add(eventRepeat)
	var due []*standing
	for key, s := range w.standing {
		switch {
		case !s.seen:
			delete(w.standing, key)
		case !s.due.After(now):
			due = append(due, s)
		case s.due.Before(next):
			next = s.due
		}
	}
	for _, s := range inTurn(due) {
		if ctx.Err() != nil || !w.limit.TryAccept() {
			next = now.Add(time.Second / eventRate)
			break
		}
		if s.due = time.Now().Add(w.write(ctx, s)); s.due.Before(next) {
			next = s.due
		}
	}
	return max(time.Until(next), time.Millisecond)
}

// inTurn sorts Events to write: the first of each namespace before the second of any, so that who makes
// thousands of mistakes keeps nobody's from being told.
func inTurn(due []*standing) []*standing {
	slices.SortFunc(due, func(a, b *standing) int {
		return cmp.Or(a.due.Compare(b.due), cmp.Compare(a.event.Name, b.event.Name))
	})
	places := make(map[string]int)
	for _, s := range due {
		s.place = places[s.event.Namespace]
		places[s.event.Namespace]++
	}
	slices.SortStableFunc(due, func(a, b *standing) int { return cmp.Compare(a.place, b.place) })
	return due
}

// write writes the Event of s and returns after what time to do so again.
func (w *eventWriter) write(ctx context.Context, s *standing) time.Duration {
	events := w.Client.EventsV1().Events(s.event.Namespace)
	event := s.event.DeepCopy()
	event.EventTime = metav1.NowMicro()
	_, err := events.Create(ctx, event, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		if s.found && s.count == 0 {
			s.count = 1
			return eventRepeat / 2 // nobody knows how old it is
		}
		// The Problem still stands, or came back.
		s.count = max(s.count, 1)
		var patch []byte
		patch, err = json.Marshal(map[string]any{"series": eventsv1.EventSeries{Count: s.count + 1, LastObservedTime: event.EventTime}})
		if err == nil {
			_, err = events.Patch(ctx, event.Name, types.MergePatchType, patch, metav1.PatchOptions{})
		}
	}
	log := w.Log.With(zap.String("object", s.event.Regarding.Kind+" "+s.event.Regarding.Namespace+"/"+s.event.Regarding.Name), zap.String("reason", s.event.Reason))
	switch {
	case err == nil:
		s.count++
		w.refused = false
		return eventRepeat
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return eventRepeat
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsNotFound(err):
		if !w.refused {
			log.Warn("event refused, further ones are not mentioned", zap.Error(err))
		}
		w.refused = true
		return eventRepeat // trying again soon would not help
	default:
		log.Debug("event not written, will try again", zap.Error(err))
		return 10 * time.Second
	}
}

// eventOf is the Event of p without its time; nil for what is no object of the API.
func (w *eventWriter) eventOf(p ingress.Problem) *eventsv1.Event {
	version, ok := apiVersion(p.Object.Kind)
	if !ok {
		return nil
	}
	note := p.Err.Error()
	if p.Field != "" {
		note = p.Field + ": " + note
	}
	note = truncate(note, maxNote)
	namespace := p.Object.Namespace
	if namespace == "" {
		namespace = metav1.NamespaceDefault // where the Events of cluster-wide objects live
	}
	return &eventsv1.Event{
		ObjectMeta:          metav1.ObjectMeta{Namespace: namespace, Name: eventName(p, note)},
		ReportingController: w.Controller,
		ReportingInstance:   truncate(w.Instance, 128),
		Action:              "Translate",
		Reason:              truncate(string(p.Reason), 128),
		Regarding: corev1.ObjectReference{
			APIVersion: version, Kind: p.Object.Kind, Namespace: p.Object.Namespace, Name: p.Object.Name, UID: p.Object.UID,
		},
		Note: note,
		Type: corev1.EventTypeWarning,
	}
}

func eventName(p ingress.Problem, note string) string {
	h := fnv.New64a()
	for _, part := range []string{p.Object.Kind, string(p.Object.UID), string(p.Reason), note} {
		_, _ = h.Write([]byte(part))
		_, _ = h.Write([]byte{0})
	}
	return fmt.Sprintf("%s.%016x", strings.TrimRight(truncate(p.Object.Name, 230), "-."), h.Sum64())
}

// apiVersion is that of the kinds that Problems are about.
func apiVersion(kind string) (string, bool) {
	switch kind {
	case "Ingress", "IngressClass":
		return "networking.k8s.io/v1", true
	case "Service", "Secret", "ConfigMap":
		return "v1", true
	case "EndpointSlice":
		return "discovery.k8s.io/v1", true
	}
	return "", false
}

// truncate cuts s to at most n bytes, at the end of a rune.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

package k8s

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// mistake is a Problem on an Ingress.
func mistake(name, reason, text string) ingress.Problem {
	return ingress.Problem{
		Object:   ingress.Object{Kind: "Ingress", Namespace: "default", Name: name, UID: "uid-of-x"},
		Severity: ingress.Error, Reason: ingress.Reason(reason), Field: "spec.rules[0]", Err: errors.New(text),
	}
}

// eventWriting is an Events whose leader writes.
type eventWriting struct {
	*Events
	stop func()
}

func writeEvents(t *testing.T, a *apiServer, settle time.Duration) *eventWriting {
	t.Helper()
	e := &eventWriting{Events: &Events{Client: a.client(t), Controller: ControllerClass, Instance: "fairlead-0", settle: settle}}
	e.lead(t)
	return e
}

// lead runs it until stop is called or the test ends.
func (e *eventWriting) lead(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.Run(ctx)
	}()
	e.stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(e.stop)
}

// notes returns "NAME REASON COUNT" of each Event, sorted; the count is that of its series.
func (a *apiServer) notes() []string {
	var notes []string
	for _, e := range a.list("events") {
		note := fmt.Sprintf("%v %v", at(e, "regarding", "name"), e["reason"])
		if n := at(e, "series", "count"); n != nil {
			note += fmt.Sprintf(" %v", n)
		}
		notes = append(notes, note)
	}
	slices.Sort(notes)
	return notes
}

func wantNotes(t *testing.T, a *apiServer, want ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("the Events %q", want), func() bool { return slices.Equal(a.notes(), want) })
}

const quick = time.Millisecond

func TestEventForEachProblem(t *testing.T) {
	a := newAPIServer(t)
	e := writeEvents(t, a, quick)
	class := ingress.Problem{Object: ingress.Object{Kind: "IngressClass", Name: "c"}, Reason: "R", Err: errors.New("x")}
	file := ingress.Problem{Object: ingress.Object{Kind: "File", Name: "x.yaml"}, Reason: "R", Err: errors.New("x")}
	long := mistake("long", "R", strings.Repeat("ä", 2000))
	e.Update([]ingress.Problem{mistake("a", "R", "one"), mistake("a", "R", "two"), mistake("a", "S", "one"), mistake("b", "R", "one"), class, file, long})
	wantNotes(t, a, "a R", "a R", "a S", "b R", "c R", "long R")
	for _, event := range a.list("events") {
		note, name := event["note"].(string), at(event, "metadata", "name").(string)
		if len(note) > 1024 || !strings.HasPrefix(name, at(event, "regarding", "name").(string)+".") {
			t.Errorf("event %s with a note of %d bytes", name, len(note))
		}
		if event["type"] != "Warning" || event["reportingController"] != ControllerClass || event["reportingInstance"] != "fairlead-0" || event["action"] == "" || event["eventTime"] == nil {
			t.Errorf("event %v lacks something", event)
		}
		if event["reason"] == "S" {
			if note != "spec.rules[0]: one" || at(event, "regarding", "uid") != "uid-of-x" || at(event, "regarding", "apiVersion") != "networking.k8s.io/v1" {
				t.Errorf("event %v: want the field and the text, and the object with its UID", event)
			}
		}
		if at(event, "regarding", "kind") == "IngressClass" && at(event, "metadata", "namespace") != "default" {
			t.Errorf("event of a cluster-wide object in %v, want default", at(event, "metadata", "namespace"))
		}
	}
	// The same again and again: nothing more is written.
	n := a.count("create events") + a.count("patch events")
	for range 5 {
		e.Update([]ingress.Problem{mistake("a", "R", "one"), mistake("a", "R", "two"), mistake("a", "S", "one"), mistake("b", "R", "one"), class, file, long})
	}
	e.Update([]ingress.Problem{mistake("a", "R", "one"), mistake("a", "R", "two"), mistake("new", "R", "one"), class, long})
	wantNotes(t, a, "a R", "a R", "a S", "b R", "c R", "long R", "new R")
	if got := a.count("create events") + a.count("patch events"); got != n+1 {
		t.Errorf("%d writes, want the one for what is new", got-n)
	}
}

// TestEventOfWhatComesBack counts in the series of the Event that is there.
func TestEventOfWhatComesBack(t *testing.T) {
	a := newAPIServer(t)
	e := writeEvents(t, a, quick)
	broken := []ingress.Problem{mistake("a", "R", "one")}
	e.Update([]ingress.Problem{mistake("first", "R", "one")}) // so that the others are new
	wantNotes(t, a, "first R")
	e.Update(broken)
	wantNotes(t, a, "a R", "first R")
	e.Update([]ingress.Problem{mistake("b", "R", "one")}) // written when a's end was seen
	wantNotes(t, a, "a R", "b R", "first R")
	e.Update(broken)
	wantNotes(t, a, "a R 2", "b R", "first R")
}

// TestEventsOfTheLastLeader are not repeated by the next.
func TestEventsOfTheLastLeader(t *testing.T) {
	a := newAPIServer(t)
	first := writeEvents(t, a, quick)
	first.Update([]ingress.Problem{mistake("a", "R", "one")})
	wantNotes(t, a, "a R")
	first.stop()
	first.Update([]ingress.Problem{mistake("a", "R", "one"), mistake("b", "R", "one")}) // nobody writes
	second := writeEvents(t, a, quick)
	second.Update([]ingress.Problem{mistake("a", "R", "one"), mistake("c", "R", "one")})
	wantNotes(t, a, "a R", "c R")
	if n := a.count("patch events"); n != 0 {
		t.Errorf("%d Events were counted again", n)
	}
	// A leader that comes to lead again knows what there is meanwhile.
	second.stop()
	first.lead(t)
	wantNotes(t, a, "a R", "b R", "c R")
}

// TestPassingProblem leaves no Event: applying an Ingress before its Service is no mistake.
func TestPassingProblem(t *testing.T) {
	a := newAPIServer(t)
	e := writeEvents(t, a, 3*eventRound)
	e.Update([]ingress.Problem{mistake("passing", "R", "one"), mistake("stays", "R", "one")})
	begin := time.Now()
	e.Update([]ingress.Problem{mistake("stays", "R", "one")})
	wantNotes(t, a, "stays R")
	if took := time.Since(begin); took < eventRound {
		t.Errorf("written after %v, before it stood for long", took)
	}
	e.Update([]ingress.Problem{mistake("last", "R", "one")})
	wantNotes(t, a, "last R", "stays R")
}

func TestEventsAreRefused(t *testing.T) {
	a := newAPIServer(t)
	a.refuse = forbid("events")
	e := writeEvents(t, a, quick)
	e.Update([]ingress.Problem{mistake("a", "R", "one")})
	eventually(t, "a try", func() bool { return a.count("create events") == 1 })
	e.Update([]ingress.Problem{mistake("a", "R", "one"), mistake("b", "R", "one")})
	eventually(t, "a try for the other", func() bool { return a.count("create events") == 2 })
}

// TestManyEvents: the first hundred at once, then twenty a second.
func TestManyEvents(t *testing.T) {
	a := newAPIServer(t)
	e := writeEvents(t, a, quick)
	problems := make([]ingress.Problem, 140)
	for i := range problems {
		problems[i] = mistake(fmt.Sprintf("n-%d", i), "R", "one")
	}
	begin := time.Now()
	e.Update(problems)
	eventually(t, "all of them", func() bool { return len(a.list("events")) == len(problems) })
	if took := time.Since(begin); took < (140-100)/eventRate*time.Second {
		t.Errorf("%d Events within %v", len(problems), took)
	}
}

// TestEventsOfManyMistakes: who makes thousands of mistakes keeps nobody's from being told.
func TestEventsOfManyMistakes(t *testing.T) {
	a := newAPIServer(t)
	e := writeEvents(t, a, quick)
	problems := make([]ingress.Problem, 20*eventBurst)
	for i := range problems {
		problems[i] = mistake(fmt.Sprintf("n-%d", i), "R", "one")
		problems[i].Object.Namespace = "greedy"
	}
	modest := mistake("modest", "R", "one")
	modest.Object.Namespace = "modest"
	e.Update(append(problems, modest))
	told := func() bool {
		return slices.ContainsFunc(a.list("events"), func(e map[string]any) bool { return at(e, "metadata", "namespace") == "modest" })
	}
	eventually(t, "the one of another namespace", told)
	if n := len(a.list("events")); n > 2*eventBurst {
		t.Errorf("it came after %d others", n-1)
	}
}

func TestTruncate(t *testing.T) {
	for _, test := range []struct {
		s    string
		n    int
		want string
	}{{"", 3, ""}, {"abc", 3, "abc"}, {"abcd", 3, "abc"}, {"aä", 2, "a"}, {"ää", 2, "ä"}, {"a\xffb", 3, "a\xffb"}} {
		if got := truncate(test.s, test.n); got != test.want {
			t.Errorf("truncate(%q, %d) = %q, want %q", test.s, test.n, got, test.want)
		}
	}
}

func TestEventName(t *testing.T) {
	for _, name := range []string{"a", strings.Repeat("a.b", 84), strings.Repeat("a", 229) + "-" + strings.Repeat("b", 20)} {
		got := eventName(mistake(name, "R", "x"), "x")
		if len(got) > 253 || strings.Contains(got, "-.") || strings.Contains(got, "..") {
			t.Errorf("event name %q is none of the API", got)
		}
	}
}

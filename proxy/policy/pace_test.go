package policy

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestPaceKeys(t *testing.T) {
	type entries = map[string]string
	for _, test := range []struct {
		annotations, config entries
		want                Pace
		bad                 int
	}{
		{nil, nil, Pace{}, 0},
		{entries{"limit-rate": "0", "limit-rate-after": "5"}, nil, Pace{}, 0},
		{entries{"limit-rate": "100", "limit-rate-after": "50"}, nil, Pace{100 << 10, 50 << 10}, 0},
		{entries{"limit-rate": "2147483647"}, nil, Pace{2147483647 << 10, 0}, 0},
		{entries{"limit-rate": "100k"}, nil, Pace{}, 1},
		{entries{"limit-rate": "-1"}, nil, Pace{}, 1},
		{entries{"limit-rate": "1", "limit-rate-after": "x"}, nil, Pace{1 << 10, 0}, 1},
		{nil, entries{"limit-rate": "7"}, Pace{7 << 10, 0}, 0},
		{entries{"limit-rate": "9"}, entries{"limit-rate": "7", "limit-rate-after": "1"}, Pace{9 << 10, 1 << 10}, 0},
	} {
		in := Input{Config: test.config, Annotations: map[string]string{}}
		for k, v := range test.annotations {
			in.Annotations[NginxPrefix+k] = v
		}
		s, findings := Parse(in)
		if s.Pace != test.want || len(findings) != test.bad {
			t.Errorf("%v, %v: want %+v, got %+v, %v", test.annotations, test.config, test.want, s.Pace, findings)
		}
	}
}

// A response takes the time that its length asks for, and comes whole.
func TestPace(t *testing.T) {
	for _, test := range []struct {
		size    int
		atLeast time.Duration
	}{{1000, 0}, {10 << 10, 0}, {40 << 10, 290 * time.Millisecond}} {
		w := &writer{ResponseRecorder: httptest.NewRecorder()}
		body := strings.Repeat("x", test.size)
		h := Wrap(&Set{Pace: Pace{Rate: 100 << 10, After: 10 << 10}}, Rule{}, &Env{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for rest := body; rest != ""; {
				n := min(len(rest), 7777)
				if m, err := w.Write([]byte(rest[:n])); m != n || err != nil {
					t.Errorf("wrote %d of %d, %v", m, n, err)
				}
				rest = rest[n:]
			}
		}))
		start := time.Now()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if took := time.Since(start); took < test.atLeast || w.Body.String() != body {
			t.Errorf("%d bytes: want at least %s, took %s, got %d", test.size, test.atLeast, took, w.Body.Len())
		}
	}
}

// A client that leaves is not waited for.
func TestPaceClientLeaves(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	left := errors.New("left")
	w := &pacedWriter{ResponseWriter: httptest.NewRecorder(), Pace: Pace{Rate: 1}, ctx: ctx}
	cancel(left)
	if n, err := w.Write(make([]byte, 1000)); n != 0 || !errors.Is(err, left) {
		t.Errorf("got %d, %v", n, err)
	}
}

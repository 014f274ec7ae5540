package policy

import (
	"context"
	"math"
	"net/http"
	"time"
)

// Pace limits how fast a response is sent. The zero value does not.
type Pace struct {
	Rate  int64 // bytes a second; 0 for no limit
	After int64 // bytes that are sent at once before it counts
}

var (
	limitRate = Key{
		Name: "limit-rate", Global: true, Value: "KiB per second, 0 for no limit", Default: "0",
		Doc: "how fast each response is sent; the backend is held back with it, and WebSocket connections are not limited",
	}
	limitRateAfter = Key{Name: "limit-rate-after", Global: true, Value: "KiB", Default: "0", Doc: "how much of a response is sent before limit-rate counts"}
)

var pacing = feature{
	name: "pace",
	keys: []Key{limitRate, limitRateAfter},
	read: func(r *reader, s *Set) {
		p := Pace{Rate: int64(r.integer(limitRate, 0, math.MaxInt32, 0)) << 10, After: int64(r.integer(limitRateAfter, 0, math.MaxInt32, 0)) << 10}
		if p.Rate > 0 {
			s.Pace = p
		}
	},
	wrap: func(l link, next http.Handler) http.Handler {
		if l.Pace.Rate == 0 {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(&pacedWriter{ResponseWriter: w, Pace: l.Pace, ctx: r.Context()}, r)
		})
	},
}

// pacedWriter holds Write back. It sends ten pieces a second, so that the client sees an even flow.
type pacedWriter struct {
	http.ResponseWriter
	Pace
	ctx   context.Context
	start time.Time // of the first piece
	sent  int64
}

// Unwrap lets http.ResponseController reach the connection.
func (w *pacedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *pacedWriter) Write(b []byte) (int, error) {
	if w.start.IsZero() {
		w.start = time.Now()
	}
	total := 0
	for {
		n := int64(len(b))
		if free := w.After - w.sent; free > 0 {
			n = min(n, free)
		} else {
			n = min(n, max(w.Rate/10, 1))
		}
		waited, err := w.wait(w.sent + n - w.After)
		if err != nil {
			return total, err
		}
		m, err := w.ResponseWriter.Write(b[:n])
		total += m
		w.sent += int64(m)
		if b = b[m:]; err != nil || len(b) == 0 {
			return total, err
		}
		if waited {
			if err := http.NewResponseController(w.ResponseWriter).Flush(); err != nil {
				return total, err
			}
		}
	}
}

// wait waits until that many bytes may have been sent beyond After.
func (w *pacedWriter) wait(over int64) (bool, error) {
	if over <= 0 {
		return false, nil
	}
	d := time.Duration(float64(over)/float64(w.Rate)*float64(time.Second)) - time.Since(w.start)
	if d <= 0 {
		return false, nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true, nil
	case <-w.ctx.Done():
		return true, context.Cause(w.ctx)
	}
}

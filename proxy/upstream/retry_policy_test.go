package upstream

import (
	"bytes"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

// replayable is a request with a body that can be had again.
func replayable(t *testing.T, method, body string) *http.Request {
	r := request(t, method, "/", io.NopCloser(strings.NewReader(body)))
	r.ContentLength = int64(len(body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
	return r
}

// Each condition is a reason for what it names and for nothing else.
func TestRetryConditions(t *testing.T) {
	answer := func(code int) *proxytest.Backend {
		return start(t, &proxytest.Backend{Handler: proxytest.Failing("", code)})
	}
	bad := map[string]netip.AddrPort{
		"refused":      proxytest.Refused(t),
		"reset":        raw(t, proxytest.Reply{End: proxytest.Reset}).Addr(),
		"part":         raw(t, proxytest.Reply{Bytes: "HTTP/1.1 200 OK\r\nA: b\r\n", End: proxytest.Close}).Addr(),
		"no HTTP":      raw(t, proxytest.Reply{Bytes: "SSH-2.0-x\r\n", End: proxytest.Close}).Addr(),
		"silent":       raw(t, proxytest.Reply{End: proxytest.Hang}).Addr(),
		"unreachable":  blackhole(t),
		"403":          answer(403).Addr(),
		"404":          answer(404).Addr(),
		"429":          answer(429).Addr(),
		"500":          answer(500).Addr(),
		"502":          answer(502).Addr(),
		"503":          answer(503).Addr(),
		"504":          answer(504).Addr(),
		"501, no name": answer(501).Addr(),
	}
	all := OnError | OnTimeout | OnInvalidHeader | onStatuses
	for name, on := range map[string]Conditions{
		"refused": OnError, "reset": OnError, "part": OnError, "no HTTP": OnInvalidHeader, "silent": OnTimeout, "unreachable": OnTimeout,
		"403": on403, "404": on404, "429": on429, "500": on500, "502": on502, "503": on503, "504": on504, "501, no name": 0,
	} {
		for _, policy := range []Conditions{on, all &^ on} {
			o := Options{ConnectTimeout: patience, ResponseHeaderTimeout: patience, EjectAfter: -1}
			switch name {
			case "unreachable":
				o.ConnectTimeout = 500 * time.Millisecond
			case "silent":
				o.ResponseHeaderTimeout = 500 * time.Millisecond
			}
			p := newTestPool(t, o, HTTP, bad[name])
			var a Attempts
			want := 1
			if policy == on && on != 0 {
				want = 3
			}
			if policy == 0 {
				continue
			}
			_, _, _ = doHooked(t, p, request(t, "GET", "/", nil), Hooks{Retry: Retry{On: policy, Again: true}}, &a)
			if a.Len() != want {
				t.Errorf("%s with conditions %b: want %d tries, got %s", name, policy, want, show(&a))
			}
		}
	}
}

// Methods that may not be executed twice are sent again only where that is asked for, or the
// request cannot have been executed.
func TestRetryConditionsByMethod(t *testing.T) {
	busy := start(t, &proxytest.Backend{Handler: proxytest.Failing("", 503)})
	for _, test := range []struct {
		method string
		on     Conditions
		to     netip.AddrPort
		want   int
	}{
		{"PUT", on503, busy.Addr(), 3},
		{"DELETE", on503, busy.Addr(), 3},
		{"POST", on503, busy.Addr(), 1},
		{"PATCH", on503, busy.Addr(), 1},
		{"LOCK", on503, busy.Addr(), 1},
		{"POST", on503 | NonIdempotent, busy.Addr(), 3},
		{"PATCH", on503 | NonIdempotent, busy.Addr(), 3},
		{"POST", OnError, proxytest.Refused(t), 3},
		{"POST", OnError, raw(t, proxytest.Reply{Body: true, End: proxytest.Close}).Addr(), 1},
		{"POST", OnError | NonIdempotent, raw(t, proxytest.Reply{Body: true, End: proxytest.Close}).Addr(), 3},
	} {
		p := newTestPool(t, Options{EjectAfter: -1}, HTTP, test.to)
		var a Attempts
		_, _, _ = doHooked(t, p, replayable(t, test.method, "body"), Hooks{Retry: Retry{On: test.on, Again: true}}, &a)
		if a.Len() != test.want {
			t.Errorf("%s with conditions %b: want %d tries, got %s", test.method, test.on, test.want, show(&a))
		}
	}
}

// Each try gets the whole body, however long it is and whatever became of it before. The answer
// of the last one is passed on.
func TestRetryReplaysBody(t *testing.T) {
	for _, protocol := range []Protocol{HTTP, H2C} {
		for _, size := range []int{1, 20 << 10, 2 << 20} {
			var n atomic.Int64
			busy := start(t, &proxytest.Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if n.Add(1) != 3 { // in the middle of the body, or before it
					io.CopyN(io.Discard, r.Body, int64(size/2))
					w.WriteHeader(http.StatusServiceUnavailable)
					io.WriteString(w, "busy")
					return
				}
				got, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				w.Write(got)
			})})
			p := newTestPool(t, Options{}, protocol, busy.Addr())
			body := string(bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size])
			var a Attempts
			req := replayable(t, "PUT", body)
			resp, err := p.Do(req, Hooks{Retry: Retry{On: on503, Again: true}}, &a)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || string(got) != body || resp.StatusCode != 200 || resp.Request != req {
				t.Errorf("%s, %d bytes: want the whole body at the third try, got %d, %d bytes, %v, %s", protocol, size, resp.StatusCode, len(got), err, show(&a))
			}
			if e := p.Endpoints()[0]; e.InFlight() != 0 || p.active.Load() != 0 {
				t.Errorf("want nothing in flight, got %d, %d", e.InFlight(), p.active.Load())
			}
		}
	}
}

// A body that was read and cannot be had again is a reason not to.
func TestRetryNoBody(t *testing.T) {
	busy := start(t, &proxytest.Backend{Handler: proxytest.Failing("", 503)})
	p := newTestPool(t, Options{}, HTTP, busy.Addr())
	var a Attempts
	status, _, err := doHooked(t, p, request(t, "PUT", "/", newText("body")), Hooks{Retry: Retry{On: on503, Again: true}}, &a)
	if status != 503 || err != nil || a.Len() != 1 {
		t.Errorf("want the 503 of the only try, got %d, %v, %s", status, err, show(&a))
	}
}

// Tries is exact, also where it is more than there is room for without memory, and the latest
// response is passed on whole.
func TestRetryTries(t *testing.T) {
	failing := start(t, &proxytest.Backend{Handler: proxytest.Failing("the end", 500)})
	for _, tries := range []int{0, 1, 2, 3, 4, 5, 20} {
		var n notes
		p := newTestPool(t, Options{OnAttempt: n.add}, HTTP, failing.Addr())
		var a Attempts
		status, body, err := doHooked(t, p, request(t, "GET", "/", nil), Hooks{Retry: Retry{On: on500, Tries: tries, Again: true}}, &a)
		want := tries
		if tries == 0 {
			want = 3
		}
		if status != 500 || !strings.Contains(body, "the end") || err != nil || a.Len() != want || len(a.All()) != want || len(n.get()) != want {
			t.Errorf("%d tries: got %d, %q, %v, %s, told %d", tries, status, body, err, show(&a), len(n.get()))
		}
		if a.Last() != a.All()[want-1] || a.Last().Status != 500 || a.Last().Received == 0 {
			t.Errorf("%d tries: got %+v", tries, a.Last())
		}
		for _, at := range a.All() {
			if at.Duration <= 0 || at.Status != 500 {
				t.Errorf("%d tries: got %+v", tries, at)
			}
		}
	}
}

// Those that were not tried come first, then those whose try is the longest ago; without Again
// no endpoint gets a request twice.
func TestRetryAgain(t *testing.T) {
	var addresses []netip.AddrPort
	for range 3 {
		addresses = append(addresses, start(t, &proxytest.Backend{Handler: proxytest.Failing("", 503)}).Addr())
	}
	for _, again := range []bool{false, true} {
		p := newTestPool(t, Options{}, HTTP, addresses...)
		var a Attempts
		_, _, _ = doHooked(t, p, request(t, "GET", "/", nil), Hooks{Retry: Retry{On: on503, Tries: 7, Again: again}}, &a)
		want := 3
		if again {
			want = 7
		}
		if a.Len() != want {
			t.Fatalf("again %v: want %d tries, got %s", again, want, show(&a))
		}
		for i, at := range a.All() {
			if i >= 3 && at.Endpoint != a.All()[i-3].Endpoint {
				t.Errorf("want the try that is the longest ago repeated, got another at %d", i)
			}
		}
	}
}

// No try begins once the time is over.
func TestRetryTimeout(t *testing.T) {
	c := newClock()
	slow := start(t, &proxytest.Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c.move(time.Second)
		w.WriteHeader(http.StatusServiceUnavailable)
	})})
	p := newTestPool(t, Options{now: c.now}, HTTP, slow.Addr())
	var a Attempts
	_, _, _ = doHooked(t, p, request(t, "GET", "/", nil), Hooks{Retry: Retry{On: on503, Tries: 9, Timeout: 2500 * time.Millisecond, Again: true}}, &a)
	if a.Len() != 3 {
		t.Errorf("want tries at 0, 1 and 2 s, got %s", show(&a))
	}
}

// What the endpoint closed as idle is sent again even where retries are off, and is no try.
func TestRetryStaleAlways(t *testing.T) {
	good := start(t, &proxytest.Backend{Raw: proxytest.Script(
		proxytest.Reply{Bytes: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
		proxytest.Reply{End: proxytest.Close},
	)})
	for _, policy := range []Retry{{Tries: 1}, {On: on503, Tries: 1}} {
		p := newTestPool(t, Options{EjectAfter: -1}, HTTP, good.Addr())
		var a Attempts
		for range 4 {
			if status, _, err := doHooked(t, p, request(t, "GET", "/", nil), Hooks{Retry: policy}, &a); status != 200 || err != nil {
				t.Errorf("%+v: want 200, got %d, %v, %s", policy, status, err, show(&a))
			}
		}
	}
}

// The budget bounds retries by status as all others.
func TestRetryStatusBudget(t *testing.T) {
	failing := start(t, &proxytest.Backend{Handler: proxytest.Failing("", 500)})
	p := newTestPool(t, Options{now: newClock().now}, HTTP, failing.Addr()) // in one window, however long it takes
	total := 0
	for range 600 {
		var a Attempts
		if status, _, err := doHooked(t, p, request(t, "GET", "/", nil), Hooks{Retry: Retry{On: on500, Tries: MaxTries, Again: true}}, &a); status != 500 || err != nil {
			t.Fatalf("want 500, got %d, %v", status, err)
		}
		total += a.Len()
	}
	if retries := total - 600; retries < budgetFloor || retries > 600/5 {
		t.Errorf("want about a fifth of 600 retries, got %d", retries)
	}
}

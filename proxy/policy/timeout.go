package policy

import (
	"math"
	"time"
)

// Timeouts are of a rule's backend. Those that are zero are left to the pool.
type Timeouts struct {
	Connect time.Duration // until a request can be written
	Send    time.Duration // in which the backend takes no byte of a request
	Read    time.Duration // in which it sends no byte of a response, or no whole head
}

var (
	connectTimeout = Key{
		Name: "proxy-connect-timeout", Global: true, Value: "seconds", Default: "5", SpecDefault: "2",
		Doc: "longest time to connect to an endpoint, with the TLS handshake",
	}
	sendTimeout = Key{
		Name: "proxy-send-timeout", Global: true, Value: "seconds", Default: "60",
		Doc: "longest time in which the backend takes nothing of a request; not the time for all of it",
	}
	readTimeout = Key{
		Name: "proxy-read-timeout", Global: true, Value: "seconds", Default: "60",
		Doc: "longest wait for a response's head, and longest silence in its body; WebSocket connections may be silent for longer",
	}
)

var timeouts = feature{
	name: "timeouts",
	keys: []Key{connectTimeout, sendTimeout, readTimeout},
	read: func(r *reader, s *Set) {
		connect := 0
		if r.quirks.Has(QuirkConnectTimeout) {
			connect = 5
		}
		s.Timeouts = Timeouts{r.seconds(connectTimeout, connect), r.seconds(sendTimeout, 0), r.seconds(readTimeout, 0)}
	},
}

// seconds reads a whole number of them. Zero is none: it would fail every request.
func (r *reader) seconds(k Key, or int) time.Duration {
	return time.Duration(r.integer(k, 1, math.MaxInt32, or)) * time.Second
}

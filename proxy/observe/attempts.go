package observe

import (
	"strconv"
	"strings"

	"go.uber.org/zap/zapcore"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

func (r *recorder) recordAttempts(x *proxy.Exchange) {
	attempts := x.Attempts.All()
	if len(attempts) == 0 {
		return
	}
	// All endpoints that were tried are of one Pool.
	k := attempts[0].Endpoint.Key()
	s := r.seriesOf(serviceKey{k.Namespace, k.Service})
	for i := range attempts {
		s.attempts[outcomeOf(attempts[i].Err)].Add(1)
	}
	if n := len(attempts) - 1; n > 0 {
		s.retries.Add(uint64(n))
	}
}

// outcomeOf puts the reason codes of package upstream into a few classes.
func outcomeOf(err error) outcome {
	if err == nil {
		return answered
	}
	switch reason, _ := upstream.Reason(err); reason {
	case upstream.AddressDenied, upstream.DNSFailed, upstream.ConnectRefused,
		upstream.ConnectTimeout, upstream.ConnectFailed, upstream.TLSFailed:
		return notConnected
	case upstream.UpstreamReset:
		return reset
	case upstream.ResponseTimeout, upstream.RequestTimeout:
		return timedOut
	case upstream.ClientClosed, upstream.RequestBodyFailed:
		return canceled
	}
	return failedOther
}

// addAttempts adds the fields of the last attempt, and which endpoints had failed before it.
func (l *jsonLine) addAttempts(enc zapcore.ObjectEncoder, x *proxy.Exchange) {
	attempts := x.Attempts.All()
	var last upstream.Attempt
	failed := l.scratch[:0]
	for i := range attempts {
		if last = attempts[i]; i == len(attempts)-1 {
			break
		}
		if i > 0 {
			failed = append(failed, ' ')
		}
		failed = appendAddress(failed, last.Endpoint.Address())
	}
	enc.AddInt("attempts", len(attempts))
	enc.AddByteString("upstream_failed", failed)
	address := l.scratch[:0]
	if last.Endpoint != nil {
		address = appendAddress(address, last.Endpoint.Address())
	}
	enc.AddByteString("upstream", address)
	enc.AddInt("upstream_status", last.Status)
	enc.AddFloat64("upstream_connect_ms", milliseconds(last.Connect))
	enc.AddFloat64("upstream_header_ms", milliseconds(last.Header))
	enc.AddFloat64("upstream_duration_ms", milliseconds(last.Duration))
}

// appendUpstream appends nginx's $upstream_addr, $upstream_response_length,
// $upstream_response_time and $upstream_status: of each a list with one entry an attempt.
func appendUpstream(dst []byte, x *proxy.Exchange) []byte {
	attempts := x.Attempts.All()
	if len(attempts) == 0 {
		return append(dst, "- - - -"...)
	}
	list := func(dst []byte, one func([]byte, *upstream.Attempt) []byte) []byte {
		for i := range attempts {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = one(dst, &attempts[i])
		}
		return dst
	}
	dst = append(list(dst, appendAddr), ' ')
	dst = append(list(dst, appendLength), ' ')
	dst = append(list(dst, appendTime), ' ')
	return list(dst, appendUpstreamStatus)
}

func appendAddr(dst []byte, a *upstream.Attempt) []byte {
	return appendAddress(dst, a.Endpoint.Address())
}

// appendAddress appends a.String(), which would allocate.
func appendAddress(dst []byte, a upstream.Address) []byte {
	if strings.Contains(a.Host, ":") {
		dst = append(dst, '[')
		dst = append(dst, a.Host...)
		dst = append(dst, ']')
	} else {
		dst = appendEscaped(dst, a.Host)
	}
	dst = append(dst, ':')
	return strconv.AppendUint(dst, uint64(a.Port), 10)
}

func appendLength(dst []byte, a *upstream.Attempt) []byte {
	return strconv.AppendInt(dst, a.Received, 10)
}

func appendTime(dst []byte, a *upstream.Attempt) []byte { return appendSeconds(dst, a.Duration) }

// appendUpstreamStatus writes what nginx does for an attempt without a response: 504 when time
// ran out, 502 for other errors, "-" when the client went away.
func appendUpstreamStatus(dst []byte, a *upstream.Attempt) []byte {
	status := a.Status
	if status == 0 {
		if a.Err == nil || outcomeOf(a.Err) == canceled {
			return append(dst, '-')
		}
		_, status = upstream.Reason(a.Err)
	}
	return strconv.AppendInt(dst, int64(status), 10)
}

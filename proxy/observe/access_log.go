package observe

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// Format is how the access log writes a line.
type Format string

const (
	// JSON is one object a line; docs/access-log.md lists its fields.
	JSON Format = "json"
	// Nginx is the default log-format-upstream of ingress-nginx.
	Nginx Format = "nginx"
	// Off writes nothing.
	Off Format = "off"
)

// ParseFormat reads the value of --access-log.
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case JSON, Nginx, Off:
		return f, nil
	}
	return "", fmt.Errorf("access log format: want json, nginx or off, got %q", s)
}

// What clients choose freely is cut to these lengths, in bytes, before it is escaped. The
// target is not listed: the proxy refuses what is longer than 8 KiB.
const (
	maxMethod    = 32
	maxProto     = 16
	maxHost      = 255
	maxTarget    = 8 << 10
	maxUserAgent = 1 << 10
	maxReferer   = 2 << 10
	maxRequestID = 128
	maxErr       = 512
)

// AccessLogOptions says how an AccessLog writes. The zero value works.
type AccessLogOptions struct {
	Format Format // JSON if empty
	// Buffer is how many bytes of finished lines may wait for the writer, at most as many
	// again being in its hands: 1 MiB if zero. Lines that do not fit are dropped and counted.
	Buffer int
	// FlushEvery is how long a line may wait for others to be written with: 50 ms if zero.
	// A process that is killed loses that much.
	FlushEvery time.Duration
	// Location is the time zone of the nginx format: time.Local if nil. JSON is in UTC.
	Location *time.Location
}

// AccessLog writes a line for every exchange. Requests format their line and never wait for
// it to be written. It must be closed.
type AccessLog struct {
	queue   *lineQueue
	encode  func(dst []byte, rule *ruleText, x *proxy.Exchange) []byte
	buffers sync.Pool // of *[]byte
}

// NewAccessLog starts a log that writes to w, one Write for many lines and never two at once.
// It returns nil for Off.
func NewAccessLog(w io.Writer, o AccessLogOptions) *AccessLog {
	if o.Format == Off {
		return nil
	}
	if o.Buffer == 0 {
		o.Buffer = 1 << 20
	}
	if o.FlushEvery == 0 {
		o.FlushEvery = 50 * time.Millisecond
	}
	l := &AccessLog{queue: newLineQueue(w, o.Buffer, o.FlushEvery)}
	l.buffers.New = func() any {
		b := make([]byte, 0, 1<<10)
		return &b
	}
	if o.Format == Nginx {
		loc := o.Location
		if loc == nil {
			loc = time.Local
		}
		l.encode = func(dst []byte, rule *ruleText, x *proxy.Exchange) []byte {
			return appendNginx(dst, rule, x, loc)
		}
	} else {
		l.encode = newJSONEncoder().append
	}
	return l
}

// Route returns the recorder that writes the lines of a rule; nil stands for what no rule
// matches. A nil AccessLog returns nil, and so does a rule that is not logged.
func (l *AccessLog) Route(rule *proxy.Rule) proxy.Recorder {
	if l == nil || rule != nil && rule.Policies != nil && rule.Policies.NotLogged {
		return nil
	}
	text := newRuleText(rule)
	return func(x *proxy.Exchange) {
		buf := l.buffers.Get().(*[]byte)
		*buf = l.encode((*buf)[:0], text, x)
		l.queue.add(*buf)
		l.buffers.Put(buf)
	}
}

// Written is how many lines were written, Dropped how many were lost because the buffer was
// full or the writer returned an error.
func (l *AccessLog) Written() uint64 { return l.queue.written.Load() }

// Dropped is how many lines were lost: see Written.
func (l *AccessLog) Dropped() uint64 { return l.queue.dropped.Load() }

// Close writes what waits. It returns an error when ctx ends before that is done. Exchanges
// that end later are dropped and counted.
func (l *AccessLog) Close(ctx context.Context) error {
	if l == nil {
		return nil
	}
	return l.queue.close(ctx)
}

// ruleText is what the lines of a rule have in common. It keeps copies, not the rule.
type ruleText struct {
	namespace, ingress, service, port string
	upstreamName                      string // nginx's $proxy_upstream_name
	// canary is the canary's backend, with and without TLS of the client; canaryName its name as
	// $proxy_alternative_upstream_name has it. Zero without a canary.
	canary     [2]upstream.Key
	canaryName string
}

func newRuleText(rule *proxy.Rule) *ruleText {
	if rule == nil {
		return &ruleText{upstreamName: "upstream-default-backend"}
	}
	b := rule.Backend
	t := &ruleText{
		namespace: rule.Origin.Namespace, ingress: rule.Origin.Name,
		service: b.Service, port: b.Port, upstreamName: "-",
	}
	if b.Service != "" {
		t.upstreamName = nginxName(b)
	}
	if c := rule.Canary; c != nil {
		t.canary, t.canaryName = [2]upstream.Key{c.Backend, c.Backend}, nginxName(c.Backend)
		if c.Secure != nil {
			t.canary[1] = *c.Secure
		}
	}
	return t
}

// toCanary says whether x was forwarded to the canary.
func (t *ruleText) toCanary(x *proxy.Exchange) bool {
	return t.canaryName != "" && (x.Backend == t.canary[0] || x.Backend == t.canary[1])
}

// nginxName is how ingress-nginx names a backend.
func nginxName(b upstream.Key) string {
	return strings.Join([]string{b.Namespace, b.Service, b.Port}, "-")
}

// clip cuts s to at most n bytes.
func clip(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

package observe

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
)

var shopRule = &proxy.Rule{
	Host: "shop.example", Path: "/", PathType: router.Prefix,
	Origin:  router.Origin{Namespace: "shop", Name: "web"},
	Backend: upstream.Key{Namespace: "shop", Service: "front", Port: "http"},
}

// plainExchange is one that was answered without an attempt.
func plainExchange() *proxy.Exchange {
	return &proxy.Exchange{
		Rule: shopRule, Method: "GET", Scheme: "https", Host: "shop.example", Target: "/cart?id=7&x=a?b",
		Proto: "HTTP/2.0", UserAgent: "curl/8.5.0", Referer: "https://shop.example/",
		Peer: netip.MustParseAddr("10.0.0.9"), ClientIP: netip.MustParseAddr("2001:db8::7"),
		RequestID: "0123456789abcdef0123456789abcdef",
		Start:     time.Date(2026, 11, 24, 5, 4, 3, 21_987_654, time.FixedZone("", 3600)),
		TTFB:      1234567 * time.Nanosecond, Duration: 2*time.Second + 3999*time.Microsecond,
		Status: 503, BytesIn: 11, BytesOut: 22,
		Reason: "no-ready-endpoints", Err: errors.New("backend shop/front:http has no endpoints"),
	}
}

// The log tells the requests that went to the canary from those that went to the rule's own backend, over TLS too.
func TestAccessLogOfCanary(t *testing.T) {
	rule := *shopRule
	secure := upstream.Key{Namespace: "shop", Service: "front-next", Port: "https"}
	rule.Canary = &proxy.Canary{Backend: upstream.Key{Namespace: "shop", Service: "front-next", Port: "http"}, Secure: &secure}
	for _, test := range []struct {
		name   string
		to     upstream.Key
		json   string
		ofMain string
	}{
		{"main", shopRule.Backend, `"canary":false`, "[shop-front-http] []"},
		{"not forwarded", upstream.Key{}, `"canary":false`, "[shop-front-http] []"},
		{"canary", rule.Canary.Backend, `"canary":true`, "[shop-front-http] [shop-front-next-http]"},
		{"canary over TLS", secure, `"canary":true`, "[shop-front-http] [shop-front-next-http]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := plainExchange()
			x.Backend = test.to
			if got := line(t, JSON, &rule, x); !strings.Contains(got, test.json) {
				t.Errorf("%s lacks %s", got, test.json)
			}
			if got := line(t, Nginx, &rule, x); !strings.Contains(got, test.ofMain) {
				t.Errorf("%s lacks %s", got, test.ofMain)
			}
		})
	}
}

// line is what the log writes for x.
func line(t testing.TB, f Format, rule *proxy.Rule, x *proxy.Exchange) string {
	t.Helper()
	var out bytes.Buffer
	l := NewAccessLog(&out, AccessLogOptions{Format: f, Location: time.FixedZone("", -5400)})
	l.Route(rule)(x)
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestAccessLogLines(t *testing.T) {
	empty := &proxy.Exchange{Start: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	answered := plainExchange()
	answered.Rule = &proxy.Rule{Origin: shopRule.Origin, Answer: proxy.Answer{Status: 503, Reason: "unsupported-backend"}}
	tests := []struct {
		name   string
		format Format
		rule   *proxy.Rule
		x      *proxy.Exchange
		want   string
	}{
		{"json", JSON, shopRule, plainExchange(), `{"time":"2026-11-24T04:04:03.021Z","request_id":"0123456789abcdef0123456789abcdef",` +
			`"client_ip":"2001:db8::7","method":"GET","scheme":"https","host":"shop.example","path":"/cart","query":"id=7&x=a?b",` +
			`"proto":"HTTP/2.0","status":503,"reason":"no-ready-endpoints","error":"backend shop/front:http has no endpoints",` +
			`"client_aborted":false,"upgraded":false,"bytes_in":11,"bytes_out":22,"duration_ms":2003.999,"ttfb_ms":1.234,` +
			`"namespace":"shop","ingress":"web","service":"front","port":"http","canary":false,"attempts":0,"upstream_failed":"","upstream":"",` +
			`"upstream_status":0,"upstream_connect_ms":0,"upstream_header_ms":0,"upstream_duration_ms":0,` +
			`"user_agent":"curl/8.5.0","referer":"https://shop.example/"}`},
		{"json without anything", JSON, nil, empty, `{"time":"2026-01-02T03:04:05.000Z","request_id":"","client_ip":"","method":"",` +
			`"scheme":"","host":"","path":"","query":"","proto":"","status":0,"reason":"","error":"","client_aborted":false,` +
			`"upgraded":false,"bytes_in":0,"bytes_out":0,"duration_ms":0,"ttfb_ms":0,"namespace":"","ingress":"","service":"",` +
			`"port":"","canary":false,"attempts":0,"upstream_failed":"","upstream":"","upstream_status":0,"upstream_connect_ms":0,` +
			`"upstream_header_ms":0,"upstream_duration_ms":0,"user_agent":"","referer":""}`},
		// The time is that of the end, cut to the second, in the zone asked for.
		{"nginx", Nginx, shopRule, plainExchange(), `2001:db8::7 - - [24/Nov/2026:02:34:05 -0130] "GET /cart?id=7&x=a?b HTTP/2.0" 503 22 ` +
			`"https://shop.example/" "curl/8.5.0" 42 2.003 [shop-front-http] [] - - - - 0123456789abcdef0123456789abcdef`},
		{"nginx, no rule", Nginx, nil, plainExchange(), `2001:db8::7 - - [24/Nov/2026:02:34:05 -0130] "GET /cart?id=7&x=a?b HTTP/2.0" 503 22 ` +
			`"https://shop.example/" "curl/8.5.0" 42 2.003 [upstream-default-backend] [] - - - - 0123456789abcdef0123456789abcdef`},
		{"nginx, rule without a Service", Nginx, answered.Rule, answered, `2001:db8::7 - - [24/Nov/2026:02:34:05 -0130] "GET /cart?id=7&x=a?b HTTP/2.0" 503 22 ` +
			`"https://shop.example/" "curl/8.5.0" 42 2.003 [-] [] - - - - 0123456789abcdef0123456789abcdef`},
		{"nginx without anything", Nginx, nil, empty, `- - - [02/Jan/2026:01:34:05 -0130] "  " 000 0 "-" "-" 4 0.000 ` +
			`[upstream-default-backend] [] - - - - -`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := line(t, tt.format, tt.rule, tt.x); got != tt.want+"\n" {
				t.Errorf("got  %swant %s", got, tt.want)
			}
		})
	}
}

func TestNginxEscape(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "-",
		"plain ~!#$%&'()":        "plain ~!#$%&'()",
		`a"b\c`:                  `a\x22b\x5Cc`,
		"\x00\t\r\n\x1b[31m\x7f": `\x00\x09\x0D\x0A\x1B[31m\x7F`,
		"é":                      `\xC3\xA9`,
		"-":                      "-",
	} {
		if got := string(appendField(nil, in)); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

func TestNginxNumbers(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.000", time.Millisecond - 1: "0.000", 9 * time.Millisecond: "0.009", 99 * time.Millisecond: "0.099",
		time.Second: "1.000", 61*time.Second + 234*time.Millisecond: "61.234", -time.Second: "0.000",
	} {
		if got := string(appendSeconds(nil, d)); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
	for status, want := range map[int]string{0: "000", 7: "007", 99: "099", 100: "100", 499: "499"} {
		if got := string(appendStatus(nil, status)); got != want {
			t.Errorf("%d: got %s, want %s", status, got, want)
		}
	}
}

func TestPrintableJSON(t *testing.T) {
	for in, want := range map[string]string{
		"{\"a\":\"é 漢 🙂\"}\n": "{\"a\":\"é 漢 🙂\"}\n",
		"\x7f":                `\u007f`,
		"a\u009bb\u202e":      `a\u009bb\u202e`,
		"\u2028\u200b\ufeff":  `\u2028\u200b\ufeff`,
		"x\U000e0041y":        `x\udb40\udc41y`, // a tag character
	} {
		for pad := range 9 {
			before := "> " + strings.Repeat("~", pad)
			if got := string(appendPrintable([]byte("> "), []byte(before[2:]+in+"12345678"))); got != before+want+"12345678" {
				t.Errorf("%q: got %s, want %s", in, got, want)
			}
		}
	}
}

// checkLine fails unless s is one line that shows the same in every terminal.
func checkLine(t *testing.T, s string) {
	t.Helper()
	if strings.Count(s, "\n") != 1 || !strings.HasSuffix(s, "\n") {
		t.Fatalf("want one line, got %q", s)
	}
	if !utf8.ValidString(s) {
		t.Fatalf("not UTF-8: %q", s)
	}
	for _, r := range s[:len(s)-1] {
		if !unicode.IsPrint(r) {
			t.Fatalf("%U in %q", r, s)
		}
	}
}

// FuzzAccessLog gives clients every freedom, more than the server leaves them: no line can be
// broken or forged, and JSON gives back what was sent.
func FuzzAccessLog(f *testing.F) {
	f.Add("GET", "/a?b", "curl", "-")
	f.Add("GET", "/\r\n{\"status\":200}", "\x1b[2J\u009b2J", "\u202e\u2028\x7f")
	f.Add("G\" \\", "?", "\xff\xc3\x28", "\U000e0041\U0001f642")
	f.Add(strings.Repeat("M", 100), strings.Repeat("/", 10000), strings.Repeat("é", 1000), strings.Repeat("\x00", 5000))
	f.Fuzz(func(t *testing.T, method, target, agent, referer string) {
		x := plainExchange()
		x.Method, x.Target, x.UserAgent, x.Referer = method, target, agent, referer
		x.RequestID, x.Host, x.Proto, x.Err = agent, referer, agent, errors.New(target)

		nginx := line(t, Nginx, shopRule, x)
		checkLine(t, nginx)
		if strings.Count(nginx, `"`) != 6 {
			t.Fatalf("a quotation mark got through: %s", nginx)
		}

		s := line(t, JSON, shopRule, x)
		checkLine(t, s)
		var got map[string]any
		if err := json.Unmarshal([]byte(s), &got); err != nil {
			t.Fatalf("%v: %s", err, s)
		}
		path, query, _ := strings.Cut(clip(target, maxTarget), "?")
		for key, want := range map[string]string{
			"method": clip(method, maxMethod), "path": path, "query": query, "user_agent": clip(agent, maxUserAgent),
			"referer": clip(referer, maxReferer), "request_id": clip(agent, maxRequestID), "host": clip(referer, maxHost),
			"error": clip(target, maxErr),
		} {
			if want := strings.ToValidUTF8(want, "\ufffd"); utf8.ValidString(want) && !strings.Contains(want, "\ufffd") && got[key] != want {
				t.Errorf("%s: got %q, want %q", key, got[key], want)
			}
		}
	})
}

// A client cannot make lines of any length.
func TestAccessLogBounded(t *testing.T) {
	long := strings.Repeat("\x01", 100_000)
	x := plainExchange()
	x.Method, x.Target, x.Host, x.UserAgent, x.Referer, x.RequestID, x.Err = long, long, long, long, long, long, errors.New(long)
	const most = 6*(maxMethod+maxTarget+maxHost+maxUserAgent+maxReferer+maxRequestID+maxErr) + 1000
	for _, f := range []Format{JSON, Nginx} {
		if n := len(line(t, f, shopRule, x)); n > most {
			t.Errorf("%s: a line of %d bytes, want at most %d", f, n, most)
		}
	}
}

func TestAccessLogOff(t *testing.T) {
	l := NewAccessLog(nil, AccessLogOptions{Format: Off})
	if l != nil {
		t.Fatal("Off made a log")
	}
	if err := l.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if (Observer{Log: l}).Route(nil) != nil || l.Route(nil) != nil {
		t.Error("a recorder that records nothing")
	}
}

func TestParseFormat(t *testing.T) {
	for _, f := range []Format{JSON, Nginx, Off} {
		if got, err := ParseFormat(string(f)); got != f || err != nil {
			t.Errorf("%s: got %q, %v", f, got, err)
		}
	}
	if _, err := ParseFormat("text"); err == nil || !strings.Contains(err.Error(), `want json, nginx or off, got "text"`) {
		t.Errorf("text: got %v", err)
	}
}

// An access log that is on costs a request no allocation.
func TestAccessLogAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool drop things")
	}
	for _, f := range []Format{JSON, Nginx} {
		l := NewAccessLog(discard{}, AccessLogOptions{Format: f})
		record, x := l.Route(shopRule), plainExchange()
		if n := testing.AllocsPerRun(1000, func() { record(x) }); n >= 1 {
			t.Errorf("%s: %v allocations a line, want 0", f, n)
		}
		if err := l.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

func BenchmarkAccessLog(b *testing.B) {
	for _, f := range []Format{JSON, Nginx} {
		b.Run(string(f), func(b *testing.B) {
			l := NewAccessLog(discard{}, AccessLogOptions{Format: f})
			record, x := l.Route(shopRule), plainExchange()
			b.ReportAllocs()
			for b.Loop() {
				record(x)
			}
			b.ReportMetric(float64(l.Dropped())/float64(b.N), "dropped/op")
			if err := l.Close(b.Context()); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// A rule that is not logged is counted all the same.
func TestRuleThatIsNotLogged(t *testing.T) {
	var out output
	log := NewAccessLog(&out, AccessLogOptions{})
	p, m := newProxy(t, Options{AccessLog: log})
	p.Observer = Observer{Metrics: m, Log: log}
	quiet := answering("shop", "quiet", "quiet.example", 503)
	quiet.Policies = &policy.Set{NotLogged: true}
	serve(p, quiet, answering("shop", "loud", "loud.example", 503))
	get(p, "quiet.example", "/")
	get(p, "loud.example", "/")
	if err := log.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if lines := out.lines(); len(lines) != 1 || !strings.Contains(lines[0], "loud.example") {
		t.Errorf("the lines are %q", lines)
	}
	for _, c := range m.Counts() {
		if c.Ingress != "" && c.Requests != 1 {
			t.Errorf("counted %+v", c)
		}
	}
	if (Observer{Log: log}).Route(quiet) != nil {
		t.Error("a recorder that records nothing")
	}
}

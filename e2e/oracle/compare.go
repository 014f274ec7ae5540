package oracle

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Seen is what one Exchange of a Case came to.
type Seen struct {
	Answers    []*Answer
	Deliveries []Delivery // of the backends
	Auth       []Delivery // of the auth service
}

// place is what a comparison must know of the place of the replay.
type place struct {
	httpPort, httpsPort string
	backends            *Backends
	secrets             []string // common names of the case's certificates
}

// Compare returns what of an Exchange differs from the record, nothing if all is the same.
func (p *place) Compare(e *Exchange, seen *Seen) []string {
	c := &comparison{place: p, exchange: e}
	if e.Repeat > 1 {
		c.repeated(seen)
		return c.differences
	}
	a := seen.Answers[0]
	c.response(a)
	c.upstream(seen)
	c.auth(seen.Auth)
	return c.differences
}

type comparison struct {
	*place
	exchange    *Exchange
	differences []string
}

func (c *comparison) differ(format string, args ...any) {
	c.differences = append(c.differences, fmt.Sprintf(format, args...))
}

func (c *comparison) response(a *Answer) {
	want := &c.exchange.Response
	switch {
	case want.Status == nil:
		if !a.Closed {
			c.differ("want no response, got %d", a.Status)
		}
		return
	case a.Closed:
		c.differ("want status %d, got no response", *want.Status)
		return
	case *want.Status != a.Status:
		c.differ("want status %d, got %d %s", *want.Status, a.Status, a.Header.Get("X-Fairlead-Reason"))
		return
	}
	c.header(want.Headers, a)
	if want.Body != nil && *want.Body != string(a.Body) {
		c.differ("want body %.60q, got %.60q", *want.Body, a.Body)
	}
	if want.BodyBytes != nil && *want.BodyBytes != len(a.Body) && c.exchange.Upstream != nil {
		c.differ("want a body of %d bytes, got %d", *want.BodyBytes, len(a.Body))
	}
	if sum := sha256.Sum256(a.Body); want.BodySHA256 != "" && want.BodySHA256 != hex.EncodeToString(sum[:]) {
		c.differ("want another body, got %d bytes", len(a.Body))
	}
	if want.Seconds > 0 && a.Took.Seconds() < want.Seconds-0.6 {
		c.differ("want it to take %v s, took %v", want.Seconds, a.Took)
	}
	c.certificate(want.Certificate, a)
}

// certificate compares names. The generated certificates of the two need not be alike.
func (c *comparison) certificate(want *Certificate, a *Answer) {
	if want == nil || a.Certificate == nil {
		return
	}
	got := a.Certificate.Subject.CommonName
	if strings.Contains(want.CN, "Fake Certificate") {
		if slices.Contains(c.secrets, got) {
			c.differ("want the generated certificate, got that of %s", got)
		}
		return
	}
	if want.CN != got {
		c.differ("want the certificate of %s, got that of %s", want.CN, got)
	}
}

// notCompared are response fields that the corpus has not.
var notCompared = []string{"Date", "Connection", "Keep-Alive", "Content-Length", "Transfer-Encoding", "X-Fairlead-Reason", "X-Content-Type-Options"}

func (c *comparison) header(want map[string]any, a *Answer) {
	got := a.Header.Clone()
	for _, name := range notCompared {
		got.Del(name)
	}
	if t := got.Get("Content-Type"); t == "text/plain" || a.Header.Get("X-Fairlead-Reason") != "" || want["Content-Type"] == nil && strings.HasPrefix(t, "text/html") {
		got.Del("Content-Type")
	}
	if _, listed := want["Server"]; !listed {
		got.Del("Server")
	}
	for name, value := range want {
		name = textproto.CanonicalMIMEHeaderKey(name)
		if !c.matches(value, got[name]) {
			c.differ("header %s: want %s, got %q", name, show(value), got[name])
		}
		delete(got, name)
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		c.differ("header %s: want none, got %q", name, got[name])
	}
}

// matches compares a recorded value: nil (absent), text, a list, a pattern or volatile ones.
func (c *comparison) matches(want any, got []string) bool {
	switch w := want.(type) {
	case nil:
		return len(got) == 0
	case []any:
		if len(w) != len(got) {
			return false
		}
		for i := range w {
			if !c.matches(w[i], got[i:i+1]) {
				return false
			}
		}
		return true
	case map[string]any:
		if len(got) != 1 {
			return false
		}
		if pattern, ok := w["match"].(string); ok {
			re, err := regexp.Compile(pattern)
			return err == nil && re.MatchString(c.recorded(got[0]))
		}
		return true // volatile: both recordings differed
	}
	return len(got) == 1 && fmt.Sprint(want) == c.recorded(got[0])
}

// recorded replaces what belongs to the place of the replay by what the record has.
func (c *comparison) recorded(s string) string {
	s = strings.ReplaceAll(s, ":"+c.httpPort, ":80")
	return strings.ReplaceAll(s, ":"+c.httpsPort, ":443")
}

func show(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

func (c *comparison) upstream(seen *Seen) {
	want := c.exchange.Upstream
	if want == nil {
		if n := len(seen.Deliveries); n > 0 {
			c.differ("want nothing to reach a backend, got %d deliveries, the last to %s of %s", n, seen.Deliveries[n-1].Target, seen.Deliveries[n-1].Service)
		}
		return
	}
	if len(seen.Deliveries) == 0 {
		c.differ("want it to reach %s, it reached none", want.Backend)
		return
	}
	if n, ok := want.Deliveries.(float64); ok || len(seen.Deliveries) > 1 {
		if n = max(n, 1); len(seen.Deliveries) != int(n) {
			c.differ("want %v deliveries, got %d", n, len(seen.Deliveries))
		}
	}
	d := seen.Deliveries[len(seen.Deliveries)-1]
	if len(want.Others) > 0 {
		d = c.copies(want, seen.Deliveries)
	}
	if service := d.Service; want.Backend != service && !strings.HasSuffix(want.Backend, "/"+service) && !strings.HasPrefix(want.Backend, "(") {
		c.differ("want it to reach %s, it reached %s", want.Backend, service)
	}
	if want.Method != d.Method {
		c.differ("want method %s upstream, got %s", want.Method, d.Method)
	}
	if !c.matches(want.Target, []string{d.Target}) {
		c.differ("want target %s upstream, got %q", show(want.Target), d.Target)
	}
	if !c.matches(want.Host, []string{d.Host}) {
		c.differ("want host %s upstream, got %q", show(want.Host), d.Host)
	}
	if want.BodyBytes != d.BodyBytes {
		c.differ("want a body of %d bytes upstream, got %d", want.BodyBytes, d.BodyBytes)
	}
	if want.TLS != d.TLS {
		c.differ("want TLS upstream %v, got %v", want.TLS, d.TLS)
	}
	if want.SNI != nil && *want.SNI != d.SNI {
		c.differ("want SNI %q upstream, got %q", *want.SNI, d.SNI)
	}
	base := c.clientHeader()
	c.defaults(base)
	c.received(base, want.Headers, d.Header, "upstream")
}

// other is a delivery that is not the one in question, as recorded.
type other struct {
	Backend   string         `json:"backend"`
	Method    string         `json:"method"`
	Target    any            `json:"target"`
	BodyBytes int            `json:"body_bytes"`
	Headers   map[string]any `json:"headers"`
}

// copies compares the deliveries to other Services than the one in question, and returns the last of
// those to that; where there is none, the last of all.
func (c *comparison) copies(want *Upstream, got []Delivery) Delivery {
	main := got[len(got)-1]
	var copies []Delivery
	for _, d := range got {
		if d.Service == want.Backend {
			main = d
		} else {
			copies = append(copies, d)
		}
	}
	for i, raw := range want.Others {
		var o other
		if err := json.Unmarshal(raw, &o); err != nil {
			c.differ("the record of delivery %d: %v", i+1, err)
			continue
		}
		if o.Backend == want.Backend {
			return got[len(got)-1] // tries of one request
		}
		if i >= len(copies) {
			c.differ("want a delivery to %s, there was none", o.Backend)
			continue
		}
		d := copies[i]
		if o.Method != d.Method || !c.matches(o.Target, []string{d.Target}) || o.BodyBytes != d.BodyBytes {
			c.differ("want %s %s with %d bytes at %s, got %s %s with %d", o.Method, show(o.Target), o.BodyBytes, o.Backend, d.Method, d.Target, d.BodyBytes)
		}
		base := c.clientHeader()
		c.defaults(base)
		c.received(base, o.Headers, d.Header, "copy")
	}
	return main
}

var hopByHop = []string{"Connection", "Keep-Alive", "Te", "Upgrade", "Proxy-Connection", "Transfer-Encoding", "Trailer", "Content-Length", "Host", "Expect", "Http2-Settings"}

// clientHeader is the end-to-end header that the request has.
func (c *comparison) clientHeader() map[string]any {
	h := http.Header{}
	for _, f := range c.exchange.Request.Headers {
		name, value, _ := strings.Cut(f, ":")
		h.Add(name, strings.TrimSpace(value))
	}
	base := map[string]any{}
	for name, values := range h {
		if slices.Contains(hopByHop, name) {
			continue
		}
		list := make([]any, len(values))
		for i, v := range values {
			list[i] = v
		}
		base[name] = list
	}
	return base
}

// defaults adds what ingress-nginx tells every backend.
func (c *comparison) defaults(h map[string]any) {
	r := &c.exchange.Request
	client, host, port := "127.0.0.1", "", "80"
	if r.ClientIP != "" {
		client = r.ClientIP
	}
	if r.Host != nil {
		host = *r.Host
	}
	if r.Scheme == "https" {
		port = "443"
	}
	if h["X-Request-Id"] == nil {
		h["X-Request-Id"] = map[string]any{"match": "^[0-9a-f]{32}$"}
	}
	for name, value := range map[string]string{
		"X-Real-Ip": client, "X-Forwarded-For": client, "X-Forwarded-Host": host, "X-Forwarded-Port": port,
		"X-Forwarded-Proto": r.Scheme, "X-Forwarded-Scheme": r.Scheme, "X-Scheme": r.Scheme,
	} {
		h[name] = value
	}
}

// received compares the fields that a backend or the auth service got with base as changed.
func (c *comparison) received(base, changes map[string]any, got http.Header, who string) {
	for name, value := range changes {
		base[textproto.CanonicalMIMEHeaderKey(name)] = value
	}
	got = got.Clone()
	got.Del("X-Fairlead-Hops") // ours: it ends circles
	for _, name := range hopByHop {
		if _, listed := changes[name]; !listed {
			got.Del(name)
			delete(base, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(base)) {
		values := got[name]
		if name == "X-Forwarded-Port" && len(values) == 1 {
			values = []string{c.port(values[0])}
		}
		if !c.matches(base[name], values) {
			c.differ("%s header %s: want %s, got %q", who, name, show(base[name]), values)
		}
		delete(got, name)
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		c.differ("%s header %s: want none, got %q", who, name, got[name])
	}
}

func (c *comparison) port(p string) string {
	switch p {
	case c.httpPort:
		return "80"
	case c.httpsPort:
		return "443"
	}
	return p
}

// asked is one request to the auth service as recorded.
type asked struct {
	Method  string         `json:"method"`
	Target  any            `json:"target"`
	Host    any            `json:"host"`
	Headers map[string]any `json:"headers"`
}

func (c *comparison) auth(got []Delivery) {
	var want []asked
	if len(c.exchange.Auth) > 0 {
		var one asked
		if json.Unmarshal(c.exchange.Auth, &want) != nil {
			if err := json.Unmarshal(c.exchange.Auth, &one); err != nil {
				c.differ("the record of the auth request: %v", err)
				return
			}
			want = []asked{one}
		}
	}
	if len(want) != len(got) {
		c.differ("want %d requests to the auth service, got %d", len(want), len(got))
		return
	}
	for i, w := range want {
		d := got[i]
		if w.Method != d.Method {
			c.differ("want method %s at the auth service, got %s", w.Method, d.Method)
		}
		if !c.matches(w.Target, []string{d.Target}) {
			c.differ("want target %s at the auth service, got %q", show(w.Target), d.Target)
		}
		host, _, _ := strings.Cut(d.Host, ":")
		if strings.HasPrefix(host, "127.") {
			host = "auth.backends.example"
		}
		if !c.matches(w.Host, []string{host}) {
			c.differ("want host %s at the auth service, got %q", show(w.Host), host)
		}
		c.received(c.clientHeader(), w.Headers, d.Header, "auth service")
	}
}

// repeated compares what was counted.
func (c *comparison) repeated(seen *Seen) {
	got := map[string]int{}
	var cookies []int
	for i, a := range seen.Answers {
		got[strconv.Itoa(a.Status)]++
		if len(a.Header["Set-Cookie"]) > 0 {
			cookies = append(cookies, i+1)
		}
	}
	if want := c.exchange.Response.Statuses; !maps.Equal(want, got) {
		c.differ("want statuses %v, got %v", want, got)
	}
	if want, ok := c.exchange.Response.SetCookieOn.([]any); ok && fmt.Sprint(want) != fmt.Sprint(cookies) {
		c.differ("want cookies on requests %v, got %v", want, cookies)
	}
	if want, ok := c.exchange.Auths.(float64); ok && int(want) != len(seen.Auth) {
		c.differ("want %v requests to the auth service, got %d", want, len(seen.Auth))
	}
	counts, endpoints := map[string]int{}, map[string]bool{}
	for _, d := range seen.Deliveries {
		counts[d.Service]++
		endpoints[d.Service+"/"+d.Endpoint] = true
	}
	u := c.exchange.Upstream
	if u == nil {
		if len(seen.Deliveries) > 0 {
			c.differ("want nothing to reach a backend, got %d deliveries", len(seen.Deliveries))
		}
		return
	}
	// Where the recording says that chance chose the Service, it is the number of endpoints that counts.
	if want, ok := u.Deliveries.(map[string]any); ok && !strings.Contains(c.exchange.Note, "is chance") {
		for service, n := range want {
			if i := strings.LastIndexByte(service, '/'); i >= 0 {
				service = service[i+1:]
			}
			if f, isNumber := n.(float64); isNumber && counts[service] != int(f) {
				c.differ("want %v deliveries to %s, got %d", n, service, counts[service])
			}
		}
	}
	if want, ok := u.Distinct.(float64); ok && int(want) != len(endpoints) {
		c.differ("want %v endpoints, got %d", want, len(endpoints))
	}
	for service, share := range u.Shares {
		f, isNumber := share.(float64)
		tolerance, _ := u.Shares["tolerance"].(float64)
		if !isNumber || service == "tolerance" {
			continue
		}
		if is := float64(counts[service]) / float64(len(seen.Answers)); is < f-max(tolerance, 0.15) || is > f+max(tolerance, 0.15) {
			c.differ("want a share of %v for %s, got %v", f, service, is)
		}
	}
}

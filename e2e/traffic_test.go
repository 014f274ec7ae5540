package e2e_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/fairlead-ingress/fairlead/e2e/site"
)

// traffic is load on a site that must not notice anything: no request may fail and no
// connection may be closed until it is told to finish.
type traffic struct {
	site     *site.Site
	host     string
	finished atomic.Bool
	requests atomic.Int64
	faults   chan error
	dropped  atomic.Int64 // faults that found the channel full
	stop     context.CancelFunc
	running  sync.WaitGroup
}

// startTraffic sends requests for host at a steady rate: HTTP/1.1 in clear and over TLS,
// HTTP/2, one WebSocket and one event stream, all over connections that stay.
func startTraffic(t *testing.T, at *site.Site, host string) *traffic {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	tr := &traffic{site: at, host: host, faults: make(chan error, 100), stop: stop}
	const perSecond, connections = 150, 4
	tr.running.Go(func() { tr.attack(ctx, "http", "http1", perSecond, connections) })
	tr.running.Go(func() { tr.attack(ctx, "https", "http1", perSecond, connections) })
	tr.running.Go(func() { tr.attack(ctx, "https", "http2", perSecond, 1) })
	tr.running.Go(func() { tr.messages(ctx) })
	tr.running.Go(func() { tr.events(ctx) })
	return tr
}

// finish ends the traffic and reports what went wrong.
func (tr *traffic) finish(t *testing.T) {
	t.Helper()
	tr.finished.Store(true)
	tr.stop()
	tr.running.Wait()
	close(tr.faults)
	for err := range tr.faults {
		t.Error(err)
	}
	if n := tr.dropped.Load(); n > 0 {
		t.Errorf("and %d more", n)
	}
	t.Logf("%d requests and messages", tr.requests.Load())
}

func (tr *traffic) fault(format string, args ...any) {
	if tr.finished.Load() {
		return
	}
	select {
	case tr.faults <- fmt.Errorf(format, args...):
	default:
		tr.dropped.Add(1)
	}
}

// watched is a connection whose early end is a fault.
type watched struct {
	net.Conn
	tr   *traffic
	name string
}

func (c watched) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.tr.fault("%s: a connection was closed: %w", c.name, err)
	}
	return n, err
}

// Close is called by the client: before the end only because the other side asked for it.
func (c watched) Close() error {
	c.tr.fault("%s: a connection was given up", c.name)
	return c.Conn.Close()
}

// client has at most n connections, each watched. One that had to be opened beyond these
// shows that another was given up, for instance after "Connection: close".
func (tr *traffic) client(name, scheme string, n int64) *http.Client {
	var opened atomic.Int64
	protocols := new(http.Protocols)
	protocols.SetHTTP1(name != "http2")
	protocols.SetHTTP2(name == "http2")
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			if o := opened.Add(1); o > n {
				tr.fault("%s %s: want %d connections to do, one more was needed", scheme, name, n)
			}
			c, err := new(net.Dialer).DialContext(ctx, network, tr.site.Address(scheme))
			if err != nil {
				return nil, err
			}
			return watched{c, tr, scheme + " " + name}, nil
		},
		Protocols:           protocols,
		MaxConnsPerHost:     int(n),
		MaxIdleConnsPerHost: int(n),
		DisableCompression:  true,
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true},
	}}
}

// attack sends requests, a quarter of them with a body, until ctx ends.
func (tr *traffic) attack(ctx context.Context, scheme, protocol string, perSecond int, connections int64) {
	client := tr.client(protocol, scheme, connections)
	defer client.CloseIdleConnections()
	var n atomic.Int64
	targeter := func(target *vegeta.Target) error {
		target.Method, target.URL = http.MethodGet, scheme+"://"+tr.host+"/load"
		if n.Add(1)%4 == 0 {
			target.Method, target.Body = http.MethodPost, []byte("order")
		}
		return nil
	}
	attacker := vegeta.NewAttacker(vegeta.Client(client), vegeta.Workers(8), vegeta.MaxWorkers(16))
	defer context.AfterFunc(ctx, func() { attacker.Stop() })()
	for r := range attacker.Attack(targeter, vegeta.Rate{Freq: perSecond, Per: time.Second}, 0, protocol) {
		tr.requests.Add(1)
		if r.Error != "" || r.Code != http.StatusOK {
			tr.fault("%s %s: %s: want 200, got %d %s %.200s", scheme, protocol, r.Method, r.Code, r.Error, r.Body)
		}
	}
}

// messages keeps one WebSocket busy.
func (tr *traffic) messages(ctx context.Context) {
	conn, _, err := websocket.Dial(ctx, "ws://"+tr.host+"/socket", &websocket.DialOptions{HTTPClient: tr.client("websocket", "http", 1)})
	if err != nil {
		tr.fault("websocket: %w", err)
		return
	}
	defer func() { _ = conn.CloseNow() }()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		want := strconv.Itoa(n)
		if err := conn.Write(ctx, websocket.MessageText, []byte(want)); err != nil {
			tr.fault("websocket: message %d: %w", n, err)
			return
		}
		_, got, err := conn.Read(ctx)
		if err != nil || string(got) != want {
			tr.fault("websocket: message %d: got %q, %w", n, got, err)
			return
		}
		tr.requests.Add(1)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// events reads one event stream, whose events are numbered.
func (tr *traffic) events(ctx context.Context) {
	client := tr.client("events", "http", 1)
	client.Timeout = 0
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+tr.host+"/events", nil)
	if err != nil {
		tr.fault("events: %w", err)
		return
	}
	req.Header.Set("Echo-Stream", "10ms")
	resp, err := client.Do(req)
	if err != nil {
		tr.fault("events: %w", err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewReader(resp.Body)
	for n := 1; ctx.Err() == nil; {
		line, err := lines.ReadString('\n')
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("the stream ended")
			}
			tr.fault("events: after %d: %w", n-1, err)
			return
		}
		if line == "\n" {
			continue
		}
		if want := fmt.Sprintf("data: %d", n); strings.TrimSpace(line) != want {
			tr.fault("events: want %q, got %q", want, line)
			return
		}
		tr.requests.Add(1)
		n++
	}
}

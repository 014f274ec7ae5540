// Command steady loads a proxy at a rate that does not depend on its answers, with streams
// beside it, until it is told to end (SIGTERM), then prints what happened as JSON. It prints
// "ready" to standard error once every stream has had a message and a request an answer.
//
//	steady -address 192.0.2.1 -host web.example -stream-host stream.example -rate 150
package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// Report is what is printed. Numbers are of the whole time.
type Report struct {
	Requests int            `json:"requests"`
	Failures map[string]int `json:"failures"` // requests without a 200, by cause
	P50      time.Duration  `json:"p50"`
	P99      time.Duration  `json:"p99"`
	Max      time.Duration  `json:"max"`
	Slow     map[string]int `json:"slow"`    // requests that took longer than slow, by kind
	Streams  int            `json:"streams"` // opened at the start
	Closed   map[string]int `json:"closed"`  // of them, before the end, by kind and cause
	Messages int            `json:"messages"`
}

// slow is longer than anything takes that is not lost and sent again.
const slow = 700 * time.Millisecond

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "steady:", err)
		os.Exit(1)
	}
}

func run() error {
	address := flag.String("address", "", "`IP` of the proxy, with ports 80 and 443")
	host := flag.String("host", "", "the requests are for")
	streamHost := flag.String("stream-host", "", "the streams are for; none if empty")
	callHost := flag.String("call-host", "", "streams of gRPC are for; none if empty")
	rate := flag.Int("rate", 150, "requests a second: six tenths HTTP/1.1 over connections that are kept, three tenths HTTP/2 over TLS, one tenth a connection each")
	streams := flag.Int("streams", 4, "WebSockets, and as many event streams over HTTP/1.1 and over HTTP/2, and streams of gRPC")
	flag.Parse()
	if *address == "" || *host == "" || *rate < 10 {
		return fmt.Errorf("want -address, -host and -rate of 10 or more, got %q, %q and %d", *address, *host, *rate)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	r := &recorder{report: Report{Failures: map[string]int{}, Slow: map[string]int{}, Closed: map[string]int{}}}
	var running sync.WaitGroup
	if *streamHost != "" {
		if err := r.openStreams(ctx, &running, *address, *streamHost, *callHost, *streams); err != nil {
			return err
		}
	}
	first := make(chan struct{})
	for _, attack := range []struct {
		kind   string
		url    string
		client *http.Client
		rate   int
	}{
		{"HTTP/1.1", "http://" + *host + "/", client(*address, false, true), *rate * 6 / 10},
		{"HTTP/2", "https://" + *host + "/", client(*address, true, true), *rate * 3 / 10},
		{"a connection each", "http://" + *host + "/", client(*address, false, false), *rate / 10},
	} {
		running.Go(func() { r.attack(ctx, attack.kind, attack.url, attack.client, attack.rate, first) })
	}
	<-first
	fmt.Fprintln(os.Stderr, "ready")
	running.Wait()
	return json.NewEncoder(os.Stdout).Encode(r.close())
}

// client connects to address, whatever the host. With keep it uses connections again, as long
// as the proxy lets it.
func client(address string, http2, keep bool) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Protocols: protocols, DisableKeepAlives: !keep, MaxIdleConnsPerHost: 1000,
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			DialContext: func(ctx context.Context, network, to string) (net.Conn, error) {
				_, port, err := net.SplitHostPort(to)
				if err != nil {
					return nil, err
				}
				return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(address, port))
			},
		},
	}
}

// recorder collects what all loads met.
type recorder struct {
	mu      sync.Mutex
	metrics vegeta.Metrics
	report  Report
}

// attack sends requests until ctx ends, then waits for those under way. It closes first when
// the first of all attacks had an answer.
func (r *recorder) attack(ctx context.Context, kind, url string, c *http.Client, rate int, first chan struct{}) {
	c.Timeout = 10 * time.Second
	attacker := vegeta.NewAttacker(vegeta.Client(c), vegeta.MaxWorkers(500))
	go func() {
		<-ctx.Done()
		attacker.Stop()
	}()
	targets := vegeta.NewStaticTargeter(vegeta.Target{Method: http.MethodGet, URL: url})
	for result := range attacker.Attack(targets, vegeta.Rate{Freq: rate, Per: time.Second}, 0, "steady") {
		r.mu.Lock()
		r.metrics.Add(result)
		r.report.Requests++
		if r.report.Requests == 1 {
			close(first)
		}
		if result.Error != "" || result.Code != http.StatusOK {
			r.report.Failures[kind+": "+cause(result)]++
		}
		if result.Latency > slow {
			r.report.Slow[kind]++
		}
		r.mu.Unlock()
	}
	c.CloseIdleConnections()
}

func cause(result *vegeta.Result) string {
	if result.Code != 0 {
		line, _, _ := strings.Cut(string(result.Body), "\n") // the next names the request
		return fmt.Sprintf("%.80s", cmp.Or(line, fmt.Sprint(result.Code)))
	}
	return result.Error
}

func (r *recorder) close() Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.metrics.Close()
	r.report.P50, r.report.P99, r.report.Max = r.metrics.Latencies.P50, r.metrics.Latencies.P99, r.metrics.Latencies.Max
	return r.report
}

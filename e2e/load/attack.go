package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// Attack is what an open loop found: requests were sent at a fixed rate, whether those before
// had been answered or not.
type Attack struct {
	Asked    float64 `json:"asked"`  // requests each second
	Sent     float64 `json:"sent"`   // requests each second; less when the generator is too slow
	Failed   float64 `json:"failed"` // part of the requests
	Requests int     `json:"requests"`
	P50      float64 `json:"p50"` // in microseconds, of the requests that did not fail
	P99      float64 `json:"p99"`
	P999     float64 `json:"p999"`
	Max      float64 `json:"max"`
	Error    string  `json:"error,omitempty"` // of the first request that failed
}

// attackCommand is the subcommand "attack": a generator in a process of its own, so that it can
// have CPUs of its own and its garbage is not the benchmark's.
func attackCommand(args []string, out io.Writer) error {
	f := flag.NewFlagSet("attack", flag.ContinueOnError)
	address := f.String("address", "", "`host:port` to connect to")
	scheme := f.String("scheme", "http", "http or https")
	rate := f.Int("rate", 0, "requests each second; 0 sends as many as the connections take")
	seconds := f.Int("seconds", 3, "how long")
	connections := f.Int("connections", 64, "connections at most")
	if err := f.Parse(args); err != nil {
		return err
	}
	a, err := attack(asker{*address, *scheme}, *rate, time.Duration(*seconds)*time.Second, *connections)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(a)
}

// lead is how long an attack lasts before it counts: its connections are opened then.
const lead = 500 * time.Millisecond

// attack sends requests for the only route of a row, and counts those that fall due within d
// after the lead. Latencies are kept one by one: their percentiles are exact.
func attack(to asker, rate int, d time.Duration, connections int) (Attack, error) {
	client := to.client()
	transport := client.Transport.(*http.Transport)
	transport.MaxConnsPerHost, transport.MaxIdleConnsPerHost = connections, connections
	client.Timeout = 10 * time.Second
	// Requests that wait for a connection are late, as they are for users: there are more
	// workers than connections. Without a rate nothing must wait.
	workers := max(connections, 4096)
	if rate == 0 {
		workers = connections
	}
	attacker := vegeta.NewAttacker(vegeta.Client(client), vegeta.Workers(uint64(connections)), vegeta.MaxWorkers(uint64(workers)))
	_, port, err := net.SplitHostPort(to.address)
	if err != nil {
		return Attack{}, err
	}
	target := vegeta.Target{Method: http.MethodGet, URL: to.scheme + "://localhost:" + port + "/item"}
	result := Attack{Asked: float64(rate)}
	var latencies []time.Duration
	var first, last time.Time
	failed, began := 0, time.Now()
	for r := range attacker.Attack(vegeta.NewStaticTargeter(target), vegeta.Rate{Freq: rate, Per: time.Second}, lead+d, "") {
		if r.Timestamp.Sub(began) < lead {
			continue
		}
		result.Requests++
		if first.IsZero() || r.Timestamp.Before(first) {
			first = r.Timestamp
		}
		if r.Timestamp.After(last) {
			last = r.Timestamp
		}
		if r.Error == "" {
			latencies = append(latencies, r.Latency)
			continue
		}
		failed++
		if result.Error == "" {
			result.Error = r.Error
		}
	}
	if len(latencies) == 0 {
		return Attack{}, fmt.Errorf("attack: want responses, got none: %s", result.Error)
	}
	slices.Sort(latencies)
	result.Failed = float64(failed) / float64(result.Requests)
	// Of n requests n-1 intervals lie between the first and the last.
	if elapsed := last.Sub(first).Seconds(); elapsed > 0 {
		result.Sent = float64(result.Requests-1) / elapsed
	}
	result.P50, result.P99, result.P999 = percentile(latencies, 0.5), percentile(latencies, 0.99), percentile(latencies, 0.999)
	result.Max = percentile(latencies, 1)
	return result, nil
}

// percentile is the smallest of the sorted values that part of them do not exceed, in
// microseconds.
func percentile(sorted []time.Duration, part float64) float64 {
	i := int(part*float64(len(sorted))+0.999999) - 1
	return float64(sorted[min(max(i, 0), len(sorted)-1)]) / float64(time.Microsecond)
}

// runAttack runs the subcommand on the CPUs of the generator.
func (g generator) runAttack(ctx context.Context, to asker, rate, seconds, connections int) (Attack, error) {
	self, err := os.Executable()
	if err != nil {
		return Attack{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second+30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "taskset", "-c", g.cpus, self, "attack", "-address", to.address, "-scheme", to.scheme,
		"-rate", strconv.Itoa(rate), "-seconds", strconv.Itoa(seconds), "-connections", strconv.Itoa(connections))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		return Attack{}, fmt.Errorf("attack: %w\n%s", errors.Join(err, ctx.Err()), stderr.Bytes())
	}
	var a Attack
	if err := json.Unmarshal(text, &a); err != nil {
		return Attack{}, fmt.Errorf("attack: want a result, got %q: %w", text, err)
	}
	return a, nil
}

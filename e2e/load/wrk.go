package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// load is what wrk did in one run, as fast as it could.
type load struct {
	requests int64 // that were answered
	bytes    int64
	elapsed  time.Duration
	cpu      time.Duration // of wrk
}

func (l load) perSecond() float64 { return float64(l.requests) / l.elapsed.Seconds() }

// generator runs wrk.
type generator struct {
	dir  string // for scripts
	cpus string // of wrk, as taskset takes them
}

// run loads the address with the row for some seconds. Any request that fails is an error:
// the cost of another answer is not the cost of this one.
func (g generator) run(ctx context.Context, address string, r Row, seconds int) (load, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return load{}, err
	}
	script, err := g.script(r, port)
	if err != nil {
		return load{}, err
	}
	defer func() { _ = os.Remove(script) }() // or with the directory
	// wrk ends by itself; the limit is for one that hangs.
	ctx, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second+30*time.Second)
	defer cancel()
	// The name, not the address: it is the server name of the handshake, too.
	cmd := exec.CommandContext(ctx, "taskset", "-c", g.cpus, "wrk", "-t1", "-c"+strconv.Itoa(r.Connections),
		"-d"+strconv.Itoa(seconds)+"s", "--timeout", "10s", "-s", script, r.scheme()+"://localhost:"+port+"/item")
	text, err := cmd.CombinedOutput()
	if err != nil {
		return load{}, fmt.Errorf("wrk: %w\n%s", errors.Join(err, ctx.Err()), text)
	}
	l, err := parseWrk(string(text))
	l.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return l, err
}

// script writes what wrk is to send and how it is to report. Without a function for it, wrk
// sends one request over and over, at no cost.
func (g generator) script(r Row, port string) (string, error) {
	var b strings.Builder
	if r.New {
		b.WriteString("wrk.headers[\"Connection\"] = \"close\"\n")
	}
	if r.many() {
		// The stride is a prime: every route has its turn, and neighbours do not follow
		// each other.
		fmt.Fprintf(&b, `local requests, n = {}, 0
function init()
  for i = 0, %[1]d - 1 do
    wrk.headers["Host"] = string.format("h%%d.localhost:%[2]s", math.floor(i / %[3]d))
    requests[i] = wrk.format("GET", string.format("/p%%d/item", i %% %[3]d))
  end
end
function request()
  n = (n + 7919) %% %[1]d
  return requests[n]
end
`, r.Routes, port, pathsPerHost)
	}
	b.WriteString(`function done(s)
  local e = s.errors
  print(string.format("result %d %d %d %d %d %d %d %d", s.requests, s.bytes, s.duration, e.connect, e.read, e.write, e.status, e.timeout))
end
`)
	f, err := os.CreateTemp(g.dir, "wrk-*.lua")
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(b.String())
	return f.Name(), errors.Join(err, f.Close())
}

// parseWrk reads the line that script's done prints.
func parseWrk(text string) (load, error) {
	var l load
	var micros int64
	var failed [5]int64
	at := strings.LastIndex(text, "result ")
	if at < 0 {
		return load{}, fmt.Errorf("wrk: want a line with the result, got %q", text)
	}
	_, err := fmt.Sscanf(text[at:], "result %d %d %d %d %d %d %d %d",
		&l.requests, &l.bytes, &micros, &failed[0], &failed[1], &failed[2], &failed[3], &failed[4])
	if err != nil {
		return load{}, fmt.Errorf("wrk: result %q: %w", text[at:], err)
	}
	l.elapsed = time.Duration(micros) * time.Microsecond
	if failed != [5]int64{} {
		return l, fmt.Errorf("wrk: want no failure in %d requests, got: connect %d, read %d, write %d, status %d, timeout %d",
			l.requests, failed[0], failed[1], failed[2], failed[3], failed[4])
	}
	if l.requests == 0 || l.elapsed <= 0 {
		return l, fmt.Errorf("wrk: want requests that were answered, got none in %v", l.elapsed)
	}
	return l, nil
}

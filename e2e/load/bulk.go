package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// maxGrowth is how much the memory of a fairlead may grow while a body goes through it.
const maxGrowth = 1 << 20

// bulkCommand sends a long body through a fairlead each way and prints what that does to its memory.
func bulkCommand(ctx context.Context, args []string, out, progress io.Writer) error {
	f := newMemoryFlags("bulk", progress)
	text := f.String("size", "10g", "`size` of the body, such as 256m")
	if err := f.Parse(args); err != nil {
		return err
	}
	size, err := parseSize(*text)
	if err != nil || f.NArg() > 0 {
		return fmt.Errorf("bulk: -size: %w; want no argument, got %q", err, f.Args())
	}
	b, err := f.startBearer(ctx, Row{Size: 64, Connections: 1, TLS: true, Routes: 1}, http.HandlerFunc(bulkBackend), progress)
	if err != nil {
		return err
	}
	defer b.stop()
	grown := 0
	for _, way := range bulkWays {
		growth, err := b.bulk(ctx, way, size, out)
		if err != nil {
			return fmt.Errorf("%s: %w", way, err)
		}
		if growth > maxGrowth {
			grown++
		}
	}
	if grown > 0 {
		return fmt.Errorf("memory grew by more than %d KiB %s", maxGrowth>>10, plural(grown, "time"))
	}
	return nil
}

// bulkWay is how a body goes through a proxy.
type bulkWay struct{ up, secure, chunked bool }

var bulkWays = []bulkWay{
	{false, false, false},
	{true, false, false},
	{false, false, true},
	{true, false, true},
	{false, true, false},
	{true, true, false},
}

func (w bulkWay) String() string {
	direction, scheme, framing := "down", "http", "length"
	if w.up {
		direction = "up"
	}
	if w.secure {
		scheme = "https"
	}
	if w.chunked {
		framing = "chunked"
	}
	return fmt.Sprintf("%-4s %-5s %-7s", direction, scheme, framing)
}

// bulk sends a body once to warm up, and then size bytes. It returns by how much the memory of the
// process has grown at its peak.
func (b *bearer) bulk(ctx context.Context, way bulkWay, size int64, out io.Writer) (growth int64, err error) {
	if err := b.send(ctx, way, min(size, 64<<20)); err != nil {
		return 0, err
	}
	if _, err := b.collected(ctx); err != nil {
		return 0, err
	}
	if err := b.resetPeak(); err != nil {
		return 0, err
	}
	before, err := b.memory()
	if err != nil {
		return 0, err
	}
	start := time.Now()
	if err := b.send(ctx, way, size); err != nil {
		return 0, err
	}
	took := time.Since(start)
	after, err := b.memory()
	if err != nil {
		return 0, err
	}
	growth = after.peak - before.resident
	fmt.Fprintf(out, "%s %6d MiB in %6.1f s: %d KiB of RSS before, %d KiB at the peak, %+d\n",
		way, size>>20, took.Seconds(), before.resident>>10, after.peak>>10, growth>>10)
	return growth, nil
}

// send has one body of size bytes sent.
func (b *bearer) send(ctx context.Context, way bulkWay, size int64) error {
	r := Row{TLS: way.secure}
	client := http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // of this run's own authority
		DisableKeepAlives: true, WriteBufferSize: 64 << 10, ReadBufferSize: 64 << 10,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, b.address(r))
		},
	}}
	url := fmt.Sprintf("%s://localhost/?size=%d&chunked=%t", r.scheme(), size, way.chunked)
	method, body := http.MethodGet, io.Reader(nil)
	if way.up {
		method, body = http.MethodPost, io.LimitReader(zeros{}, size)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return err
	}
	if way.up && !way.chunked {
		req.ContentLength = size
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil {
		return err
	}
	if way.up {
		n, _ = strconv.ParseInt(resp.Header.Get("Got"), 10, 64)
	}
	if resp.StatusCode != http.StatusOK || n != size {
		return fmt.Errorf("want status 200 and %d bytes to arrive, got %s and %d", size, resp.Status, n)
	}
	return nil
}

// bulkBackend sends as many bytes as it is asked for, or tells how many it has got.
func bulkBackend(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Got", strconv.FormatInt(n, 10))
		return
	}
	size, _ := strconv.ParseInt(r.URL.Query().Get("size"), 10, 64) // what is wrong, the client sees
	if r.URL.Query().Get("chunked") != "true" {
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	}
	_, _ = io.CopyBuffer(struct{ io.Writer }{w}, io.LimitReader(zeros{}, size), make([]byte, 256<<10)) // likewise
}

// zeros is a reader without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

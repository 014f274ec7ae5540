package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// idleCommand prints what an idle connection costs a fairlead: in clear and with TLS.
func idleCommand(ctx context.Context, args []string, out, progress io.Writer) error {
	f := newMemoryFlags("idle", progress)
	n := f.Int("n", 10_000, "how many `connections`")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 || *n < 1 || *n > 25_000 {
		return fmt.Errorf("idle: want -n of 1 to 25000 and no argument, got %d and %q", *n, f.Args())
	}
	if err := raiseFiles(uint64(*n) + 500); err != nil {
		return err
	}
	for _, secure := range []bool{false, true} {
		line, err := f.idle(ctx, *n, secure, progress)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, line)
	}
	return nil
}

// raiseFiles makes sure that this program, and those that it starts, may have n open files.
func raiseFiles(n uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	wanted := syscall.Rlimit{Cur: max(n, limit.Cur), Max: max(n, limit.Max)}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &wanted); err != nil {
		return fmt.Errorf("want %d open files, the limit is %d: %w", n, limit.Max, err)
	}
	return nil
}

// idle measures n connections that have had a request each.
func (f *memoryFlags) idle(ctx context.Context, n int, secure bool, progress io.Writer) (string, error) {
	r := Row{Size: 64, Connections: n, TLS: secure, Routes: 1}
	b, err := f.startBearer(ctx, r, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "idle") // to fairlead, which says what goes wrong
	}), progress)
	if err != nil {
		return "", err
	}
	defer b.stop()
	// What comes with the first requests is there before: connections to the backend, buffers, code.
	warm, err := b.connections(ctx, r, 64)
	if err != nil {
		return "", err
	}
	closeAll(warm)
	if err := b.awaitOpen(ctx, r, 0); err != nil {
		return "", err
	}
	before, err := b.collected(ctx)
	if err != nil {
		return "", err
	}
	conns, err := b.connections(ctx, r, n)
	defer closeAll(conns)
	if err != nil {
		return "", err
	}
	if err := b.awaitOpen(ctx, r, n); err != nil {
		return "", err
	}
	as, err := b.memory()
	if err != nil {
		return "", err
	}
	after, err := b.collected(ctx)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%-5s %d idle connections: %d bytes of RSS each, %d after a collection; of live heap and stacks %d",
		r.scheme(), n, (as.resident-before.resident)/int64(n), (after.resident-before.resident)/int64(n), (after.live-before.live)/int64(n)), nil
}

// connections opens n connections and has a request answered on each.
func (b *bearer) connections(ctx context.Context, r Row, n int) ([]net.Conn, error) {
	conns, errs := make([]net.Conn, n), make([]error, n)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range 16 {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(n) && ctx.Err() == nil; i = next.Add(1) - 1 {
				conns[i], errs[i] = b.connect(ctx, r)
			}
		})
	}
	workers.Wait()
	return conns, errors.Join(append(errs, ctx.Err())...)
}

// connect opens a connection and has a request answered.
func (b *bearer) connect(ctx context.Context, r Row) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", b.address(r))
	if err != nil {
		return nil, err
	}
	if r.TLS {
		c = tls.Client(c, &tls.Config{ServerName: "localhost", InsecureSkipVerify: true}) // of this run's own authority
	}
	_ = c.SetDeadline(time.Now().Add(30 * time.Second)) // a request fails for itself
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		return c, err
	}
	resp, err := http.ReadResponse(bufio.NewReaderSize(c, 512), nil)
	if err != nil {
		return c, err
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return c, fmt.Errorf("want status 200, got %s, %w", resp.Status, err)
	}
	return c, nil
}

func closeAll(conns []net.Conn) {
	for _, c := range conns {
		if c != nil {
			_ = c.Close()
		}
	}
}

// awaitOpen waits until the port of the row has n connections.
func (b *bearer) awaitOpen(ctx context.Context, r Row, n int) error {
	name := fmt.Sprintf("fairlead_connections_open{listener=%q}", r.scheme())
	return b.await(10*time.Second, func() error {
		text, err := b.get(ctx, "/metrics", 10*time.Second)
		if err != nil {
			return err
		}
		open, err := metric(text, name)
		if err == nil && open != float64(n) {
			err = fmt.Errorf("want %d open connections, got %.0f", n, open)
		}
		return err
	})
}

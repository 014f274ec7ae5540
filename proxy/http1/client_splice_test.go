package http1

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// tcpPair returns both ends of a connection.
func tcpPair(t testing.TB) (a, b *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	one, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	other, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { one.Close(); other.Close() })
	return one.(*net.TCPConn), other.(*net.TCPConn)
}

// ofLength answers every request with n pseudo-random bytes.
func ofLength(n int) ([]byte, func(*net.TCPConn)) {
	body := make([]byte, n)
	for i := range body {
		body[i] = byte(i * i >> 7)
	}
	return body, always(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", n, body))
}

// Whatever it is written to, the body is the same, and the connection is used again.
func TestClientWriteTo(t *testing.T) {
	for _, n := range []int{0, 10, minSplice - 1, minSplice, 1 << 20} {
		want, serve := ofLength(n)
		ct := newClientTest(t, &ClientSet{}, serve)
		for range 2 {
			resp := ct.hold(t, 1)[0]
			var got bytes.Buffer
			if m, err := resp.Body.(io.WriterTo).WriteTo(&got); m != int64(n) || err != nil || !bytes.Equal(got.Bytes(), want) {
				t.Errorf("%d bytes to a buffer: got %d, %v", n, m, err)
			}
			resp.Body.Close()

			to, from := tcpPair(t)
			sum := make(chan [32]byte, 1)
			go func() {
				all, _ := io.ReadAll(from)
				sum <- sha256.Sum256(all)
			}()
			resp = ct.hold(t, 1)[0]
			m, err := resp.Body.(io.WriterTo).WriteTo(to)
			if m != int64(n) || err != nil {
				t.Errorf("%d bytes to a connection: got %d, %v", n, m, err)
			}
			resp.Body.Close()
			to.CloseWrite()
			if <-sum != sha256.Sum256(want) {
				t.Errorf("%d bytes to a connection: they are others", n)
			}
		}
		if got := ct.accepted.Load(); got != 1 {
			t.Errorf("%d bytes: want one connection, got %d", n, got)
		}
	}
}

func TestClientWriteToFails(t *testing.T) {
	t.Parallel()
	half := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", 1<<20, make([]byte, 1<<19))
	t.Run("server closes", func(t *testing.T) {
		ct := newClientTest(t, &ClientSet{}, replies(half))
		to, from := tcpPair(t)
		go io.Copy(io.Discard, from)
		resp := ct.hold(t, 1)[0]
		n, err := resp.Body.(io.WriterTo).WriteTo(to)
		if n != 1<<19 || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("want half of it and an unexpected EOF, got %d, %v", n, err)
		}
		resp.Body.Close()
	})
	t.Run("server resets", func(t *testing.T) {
		ct := newClientTest(t, &ClientSet{}, func(nc *net.TCPConn) {
			replies(half)(nc)
			nc.SetLinger(0)
		})
		to, from := tcpPair(t)
		go io.Copy(io.Discard, from)
		resp := ct.hold(t, 1)[0]
		_, err := resp.Body.(io.WriterTo).WriteTo(to)
		var failed *WriterError
		if err == nil || errors.As(err, &failed) {
			t.Errorf("want an error of the body, got %v", err)
		}
		resp.Body.Close()
	})
	t.Run("server is silent", func(t *testing.T) {
		t.Parallel()
		to, from := tcpPair(t)
		go io.Copy(io.Discard, from)
		ct := newClientTest(t, &ClientSet{ReadTimeout: time.Second}, func(nc *net.TCPConn) {
			io.WriteString(nc, half)
			hang(nc)
		})
		resp := ct.hold(t, 1)[0]
		n, err := resp.Body.(io.WriterTo).WriteTo(to)
		if n != 1<<19 || !errors.Is(err, ErrSilent) {
			t.Errorf("want half of it and ErrSilent, got %d, %v", n, err)
		}
		resp.Body.Close()
	})
	t.Run("writer is slow", func(t *testing.T) {
		t.Parallel()
		_, serve := ofLength(8 << 20)
		ct := newClientTest(t, &ClientSet{ReadTimeout: time.Second}, serve)
		to, from := tcpPair(t)
		time.AfterFunc(1500*time.Millisecond, func() { io.Copy(io.Discard, from) })
		resp := ct.hold(t, 1)[0]
		if n, err := resp.Body.(io.WriterTo).WriteTo(to); n != 8<<20 || err != nil {
			t.Errorf("want all of it, as the server is not to blame, got %d, %v", n, err)
		}
		resp.Body.Close()
	})
	t.Run("writer is gone", func(t *testing.T) {
		_, serve := ofLength(8 << 20)
		ct := newClientTest(t, &ClientSet{}, serve)
		to, from := tcpPair(t)
		from.SetLinger(0)
		from.Close()
		resp := ct.hold(t, 1)[0]
		_, err := resp.Body.(io.WriterTo).WriteTo(to)
		var failed *WriterError
		if !errors.As(err, &failed) {
			t.Errorf("want a WriterError, got %v", err)
		}
		resp.Body.Close()
		if ct.Connections() != 0 {
			t.Error("the connection was kept with half a response on it")
		}
	})
	t.Run("abandoned", func(t *testing.T) {
		ct := newClientTest(t, &ClientSet{}, func(nc *net.TCPConn) {
			io.WriteString(nc, half)
			hang(nc)
		})
		ctx, cancel := context.WithCancel(t.Context())
		to, from := tcpPair(t)
		go io.Copy(io.Discard, from)
		resp, err := ct.Do(newRequest(t, "GET", "/", nil).WithContext(ctx), &Call{})
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(20*time.Millisecond, cancel)
		if _, err := resp.Body.(io.WriterTo).WriteTo(to); !errors.Is(err, context.Canceled) {
			t.Errorf("want context.Canceled, got %v", err)
		}
		resp.Body.Close()
	})
}

package proxytest

import (
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
	"time"
)

func TestScript(t *testing.T) {
	b := Start(t, &Backend{Raw: Script(
		Reply{Blind: true, Bytes: "hello "},
		Reply{Bytes: "one "},
		Reply{Body: true, Bytes: "two"},
	)})
	c := dial(t, b)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy")
	if got, err := io.ReadAll(c); string(got) != "hello one two" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	b = Start(t, &Backend{Raw: Script(Reply{End: Reset})})
	c = dial(t, b)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if got, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("want a reset, got %q, %v", got, err)
	}
	b = Start(t, &Backend{Raw: Script(Reply{Bytes: "x", End: Hang})})
	c = dial(t, b)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	one := make([]byte, 1)
	if _, err := io.ReadFull(c, one); string(one) != "x" || err != nil {
		t.Errorf("got %q, %v", one, err)
	}
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if got, err := io.ReadAll(c); len(got) > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("want silence, got %q, %v", got, err)
	}
}

func TestResetting(t *testing.T) {
	for _, n := range []int{0, 10, 100, 1 << 20} {
		b := Start(t, &Backend{Raw: Resetting(n)})
		c := dial(t, b)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		got, err := io.ReadAll(c)
		if len(got) > n || len(got) > 1070 || err == nil {
			t.Errorf("want %d bytes at most and a reset, got %d, %v", n, len(got), err)
		}
	}
}

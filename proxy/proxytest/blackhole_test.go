//go:build unix

package proxytest

import (
	"errors"
	"net"
	"testing"
	"time"
)

func TestBlackhole(t *testing.T) {
	b, err := NewBlackhole()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var timeout net.Error
	if _, err := net.DialTimeout("tcp", b.Addr().String(), 100*time.Millisecond); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("want no answer, got %v", err)
	}
}

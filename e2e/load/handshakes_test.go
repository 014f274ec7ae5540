package main

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestShakeHands counts handshakes with a server of this process: new ones, and those that take a
// session up.
func TestShakeHands(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") }))
	defer server.Close()
	address := server.Listener.Addr().String()
	session := &oneSession{}
	if _, err := shakeHands(t.Context(), address, session, 50*time.Millisecond); err == nil {
		t.Error("a session that there is not is resumed")
	}
	if err := primed(t.Context(), address, session); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*oneSession{"full": nil, "resumed": session} {
		n, err := shakeHands(t.Context(), address, s, time.Second)
		if err != nil || n == 0 {
			t.Errorf("%s: %d handshakes, %v", name, n, err)
		}
	}
	without := httptest.NewUnstartedServer(server.Config.Handler)
	without.TLS = &tls.Config{SessionTicketsDisabled: true}
	without.StartTLS()
	defer without.Close()
	if err := primed(t.Context(), without.Listener.Addr().String(), &oneSession{}); err == nil {
		t.Error("without a ticket it is primed")
	}
}

func TestHandshakeLine(t *testing.T) {
	got := handshakeLine("RSA", true, []subject{{name: "fairlead"}, {name: "nginx"}}, [][]float64{{300, 100, 200}, {400, 400, 300}})
	want := "RSA   resumed  fairlead 200 in a CPU-second (100 to 300)  nginx 400 in a CPU-second (300 to 400), fairlead does 0.50 of that"
	if strings.TrimSpace(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

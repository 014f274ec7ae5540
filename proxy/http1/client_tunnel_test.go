package http1

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

// A 101 response hands the connection over, with what came behind its head.
func TestClientTunnel(t *testing.T) {
	ct := newClientTest(t, &ClientSet{}, func(nc *net.TCPConn) {
		r := bufio.NewReader(nc)
		if !readRequest(r) {
			return
		}
		io.WriteString(nc, switching+"hello ")
		io.Copy(nc, r)
		io.WriteString(nc, " bye")
	})
	for _, writeTo := range []bool{false, true} {
		req := newRequest(t, "GET", "/", nil)
		req.Header["Connection"], req.Header["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
		resp, err := ct.Do(req, &Call{})
		if err != nil || resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Upgrade") != "websocket" {
			t.Fatalf("want 101, got %v, %v", resp, err)
		}
		tunnel := resp.Body.(interface {
			io.ReadWriteCloser
			io.WriterTo
			io.ReaderFrom
			CloseWrite() error
		})
		if n, err := tunnel.ReadFrom(strings.NewReader("there")); n != 5 || err != nil {
			t.Errorf("ReadFrom: %d, %v", n, err)
		}
		io.WriteString(tunnel, "!")
		if err := tunnel.CloseWrite(); err != nil {
			t.Error(err)
		}
		var got strings.Builder
		if writeTo {
			_, err = tunnel.WriteTo(&got)
		} else {
			_, err = io.Copy(&got, struct{ io.Reader }{tunnel})
		}
		if got.String() != "hello there! bye" || err != nil {
			t.Errorf("got %q, %v", got.String(), err)
		}
		tunnel.Close()
		tunnel.Close()
		if ct.Connections() != 0 {
			t.Error("the connection is still open, or kept")
		}
	}
}

// Another goroutine may close a tunnel that is being read.
func TestClientTunnelClose(t *testing.T) {
	ct := newClientTest(t, &ClientSet{}, func(nc *net.TCPConn) {
		io.WriteString(nc, switching)
		hang(nc)
	})
	resp, err := ct.Do(newRequest(t, "GET", "/", nil), &Call{})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		_, err := io.ReadAll(resp.Body)
		done <- err
	}()
	resp.Body.Close()
	if err := <-done; err == nil {
		t.Error("want the Read to fail")
	}
}

// There is no agreement to switch for a request whose body may not have been sent.
func TestClientTunnelWithBody(t *testing.T) {
	ct := newClientTest(t, &ClientSet{}, func(nc *net.TCPConn) {
		io.WriteString(nc, switching)
		hang(nc)
	})
	_, _, err := ct.roundTrip(newRequest(t, "POST", "/", io.MultiReader(strings.NewReader("x"))), nil)
	wantStage(t, err, StageMalformed)
}

package http1

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// D26: what the caller gave to the Client may panic. Nothing is left behind by that; on the
// goroutine of the Client it becomes an error.
func TestClientPanics(t *testing.T) {
	ct := newClientTest(t, &ClientSet{}, always("HTTP/1.1 103 Early Hints\r\n\r\n"+okReply))
	panics := func(req *http.Request, call *Call) (v any) {
		defer func() { v = recover() }()
		ct.roundTrip(req, call)
		return nil
	}
	hook := &Call{Interim: func(int, http.Header) error { panic(http.ErrAbortHandler) }}
	if v := panics(newRequest(t, "GET", "/", nil), hook); v != http.ErrAbortHandler {
		t.Errorf("Interim: want its panic, got %v", v)
	}
	if n := ct.Connections(); n != 0 {
		t.Errorf("Interim: want the connection closed, got %d", n)
	}
	breaks := io.MultiReader(strings.NewReader("some"), readerFunc(func([]byte) (int, error) { panic("broken") }))
	req := newRequest(t, "POST", "/", breaks)
	req.ContentLength = 10
	if v := panics(req, &Call{}); v != "broken" {
		t.Errorf("inline body: want its panic, got %v", v)
	}
	ct.want(t, newRequest(t, "GET", "/", nil), 200, "ok") // over the same connection
	breaks = io.MultiReader(strings.NewReader("some"), readerFunc(func([]byte) (int, error) { panic("broken") }))
	_, _, err := ct.roundTrip(newRequest(t, "POST", "/", breaks), nil)
	if wantStage(t, err, StageBody); !strings.Contains(err.Error(), "broken") {
		t.Errorf("streamed body: got %v", err)
	}
}

package echo

import (
	"fmt"
	"net"
	"net/http"
	"time"
)

// stream answers with server-sent events and never ends by itself. With Echo-Stream
// "first" it sends one event and then holds the response open; with a duration it sends
// a numbered event each time that much has passed.
func stream(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	pause, err := time.ParseDuration(r.Header.Get("Echo-Stream"))
	if err != nil || pause <= 0 {
		pause = time.Hour
	}
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for n := 1; ; n++ {
		if _, err := fmt.Fprintf(w, "data: %d\n\n", n); err != nil {
			return
		}
		if control.Flush() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// breakOff ends the connection instead of the answer: "head" before any byte of it, "reset"
// the same with a TCP reset, "body" in the middle of a body of announced length.
func breakOff(w http.ResponseWriter, where string) {
	if where == "body" {
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(make([]byte, 500))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2: resets the stream
	}
	if tcp, ok := conn.(*net.TCPConn); ok && where == "reset" {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

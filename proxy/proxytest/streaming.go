package proxytest

import (
	"fmt"
	"io"
	"net/http"
	"time"
)

// Streaming answers with server-sent events, one each interval, each flushed by itself, and
// ends after count of them; zero is without end. The data of an event is its number, from 1.
func Streaming(interval time.Duration, count int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-store")
		c.Flush()
		for n := 1; count == 0 || n <= count; n++ {
			fmt.Fprintf(w, "data: %d\n\n", n)
			if c.Flush() != nil || n != count && !wait(r, interval) {
				return
			}
		}
	})
}

// Duplex sends each piece of the request's body back as it comes, before the next is there.
func Duplex() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		c.EnableFullDuplex() // HTTP/2 is so anyway
		c.Flush()
		io.Copy(&flushed{w, c}, r.Body)
	})
}

// flushed is a writer that flushes each Write.
type flushed struct {
	w http.ResponseWriter
	c *http.ResponseController
}

func (f *flushed) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err != nil {
		return n, err
	}
	return n, f.c.Flush()
}

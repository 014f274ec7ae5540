package k8s

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// Contact records when the API server was last heard: a response, or anything on a watch.
// While a replica takes part in the election of the leader that is every few seconds. The zero
// value is ready; give Wrap to rest.Config.Wrap.
type Contact struct {
	last atomic.Int64 // Unix nanoseconds
}

// Last is when the API server was last heard; the zero time for never.
func (c *Contact) Last() time.Time {
	if n := c.last.Load(); n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}

// Wrap returns next with what comes through it recorded.
func (c *Contact) Wrap(next http.RoundTripper) http.RoundTripper {
	return contactTransport{next, c}
}

func (c *Contact) heard() { c.last.Store(time.Now().UnixNano()) }

type contactTransport struct {
	next    http.RoundTripper
	contact *Contact
}

func (t contactTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(r)
	if err == nil {
		t.contact.heard()
		resp.Body = contactBody{resp.Body, t.contact}
	}
	return resp, err
}

// WrappedRoundTripper lets client-go find what is beneath.
func (t contactTransport) WrappedRoundTripper() http.RoundTripper { return t.next }

type contactBody struct {
	io.ReadCloser
	contact *Contact
}

func (b contactBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.contact.heard()
	}
	return n, err
}

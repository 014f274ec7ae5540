package upstream

import (
	"net/http"
	"time"
)

// Hooks are what the caller of Pool.Do takes part in. The zero value is ready for use.
type Hooks struct {
	// Pick says to which endpoint the request goes.
	Pick Pick
	// Retry says when it is sent again.
	Retry Retry
	// Interim is called for each 1xx response but 101, by the goroutine of Do or, over HTTP/2,
	// by another one while that waits; not when Do has returned. The header is valid until it
	// returns. An error ends the
	// request, which is not retried. Nil: they are dropped.
	Interim func(code int, header http.Header) error
	// Abandoned is asked, about twenty times a second while the request waits longer than
	// most do, whether nobody wants the response any more. Then Do, or a Read of the body,
	// ends with an error that is context.Canceled, as it does when the request's context
	// ends. It is called by another goroutine, which it must not hold up, and not after the
	// response's body was closed or Do returned an error. Nil: only the context tells.
	Abandoned func() bool
	// ConnectTimeout limits what comes before the request can be written, for each attempt.
	// Zero: that of the Options.
	ConnectTimeout time.Duration
	// SendTimeout limits how long an endpoint may take no byte of the request. Zero: 60 s.
	SendTimeout time.Duration
	// ReadTimeout limits the wait from the last byte of the request to the last byte of the
	// response's head, and for the next byte of its body. Zero: what the Options say of each.
	ReadTimeout time.Duration

	headTimeout time.Duration // set by Do: of the wait for the head
}

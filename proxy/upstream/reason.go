package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// Reason codes of an Error.
const (
	AddressDenied   = "address-denied"   // the address is one that no endpoint may have
	DNSFailed       = "dns-failed"       // the endpoint's name has no address
	ConnectRefused  = "connect-refused"  // nothing listens there
	ConnectTimeout  = "connect-timeout"  // no connection within Options.ConnectTimeout
	ConnectFailed   = "connect-failed"   // no connection, for another reason, such as no route
	TLSFailed       = "tls-failed"       // no TLS handshake, or a certificate that was refused
	UpstreamReset   = "upstream-reset"   // the endpoint ended the connection before a whole head came
	ResponseTimeout = "response-timeout" // no head within Options.ResponseHeaderTimeout
	ReadTimeout     = "read-timeout"     // the next byte of the body did not come in time
	BadResponse     = "bad-response"     // what came is no HTTP response, or its head is too large
)

// Reason codes of the other errors of Pool.Do.
const (
	NoReadyEndpoints  = "no-ready-endpoints"  // of a Resolution without a Reason
	ClientClosed      = "client-closed"       // the request's context was canceled
	RequestTimeout    = "request-timeout"     // the request's context came to its deadline
	RequestBodyFailed = "request-body-failed" // the request's body could not be read
	RequestBodyLarge  = "request-body-large"  // it is larger than its http.MaxBytesReader allows
	Unclassified      = "upstream-failed"     // an error of another package
)

// StatusClientClosed is the status that stands in logs for a client which did not wait for a
// response. Nobody receives it. The number is nginx's.
const StatusClientClosed = 499

// Error is why an endpoint gave no response.
type Error struct {
	Endpoint Address
	Reason   string // one of the codes above
	Err      error  // what came; not nil
}

func (e *Error) Error() string {
	return fmt.Sprintf("endpoint %s: %s: %v", e.Endpoint, e.Reason, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// NoEndpointError is why a request was sent nowhere: its Pool is empty.
type NoEndpointError struct {
	Key    Key
	Reason string // that of the Resolution
}

func (e *NoEndpointError) Error() string {
	return fmt.Sprintf("backend %s has no endpoints: %s", e.Key, e.Reason)
}

// RequestBodyError is an error of reading the request's body. The endpoint has no part in it.
type RequestBodyError struct{ Err error }

func (e *RequestBodyError) Error() string { return fmt.Sprintf("body of the request: %v", e.Err) }

func (e *RequestBodyError) Unwrap() error { return e.Err }

// Reason returns the code of an error of Pool.Do, and the status that a proxy should answer
// with. For nil it returns "" and 0.
func Reason(err error) (code string, status int) {
	var (
		failed   *Error
		none     *NoEndpointError
		body     *RequestBodyError
		tooLarge *http.MaxBytesError
	)
	switch {
	case err == nil:
		return "", 0
	case errors.As(err, &failed):
		if failed.Reason == ConnectTimeout || failed.Reason == ResponseTimeout || failed.Reason == ReadTimeout {
			return failed.Reason, http.StatusGatewayTimeout
		}
		return failed.Reason, http.StatusBadGateway
	case errors.As(err, &none):
		return none.Reason, http.StatusServiceUnavailable
	case errors.As(err, &tooLarge):
		return RequestBodyLarge, http.StatusRequestEntityTooLarge
	case errors.Is(err, context.Canceled):
		return ClientClosed, StatusClientClosed
	case errors.Is(err, context.DeadlineExceeded):
		return RequestTimeout, http.StatusGatewayTimeout
	case errors.As(err, &body):
		return RequestBodyFailed, http.StatusBadRequest
	}
	return Unclassified, http.StatusBadGateway
}

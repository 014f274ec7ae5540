package http1

import (
	"fmt"
	"net/http"
)

// Reason is a short code for why a message was refused. Answers, metrics and logs carry it.
type Reason string

// The reasons, with the status that a client gets. All of them end the connection: where a
// message is not understood, nobody knows where the next one begins.
const (
	// BadRequestLine (400): not a method, a target and a version with one space between.
	BadRequestLine Reason = "bad-request-line"
	// BadTarget (400): the target is none of the four forms of RFC 9112, 3.2, or not for
	// this method, or has a byte or an escape that no URI has.
	BadTarget Reason = "bad-target"
	// TargetTooLong (414): more than 8 KiB.
	TargetTooLong Reason = "target-too-long"
	// BadVersion (505): another version than HTTP/1.0 and HTTP/1.1.
	BadVersion Reason = "bad-version"
	// BadLineEnd (400): a line that ends with LF alone, or a CR without LF.
	BadLineEnd Reason = "bad-line-end"
	// BadField (400): a field line that is not a token, a colon and a value: a space before
	// the colon, a folded line, an empty name, a control character.
	BadField Reason = "bad-field"
	// HeadTooLarge (431): a head, or a line of it, beyond the limit.
	HeadTooLarge Reason = "head-too-large"
	// TooManyFields (431): more fields than the limit.
	TooManyFields Reason = "too-many-fields"
	// BadHost (400): no Host in HTTP/1.1, more than one, or one that is not a host with an
	// optional port.
	BadHost Reason = "bad-host"
	// HostMismatch (400): Host says another thing than the authority of the target.
	HostMismatch Reason = "host-mismatch"
	// BadContentLength (400): Content-Length is not one decimal number.
	BadContentLength Reason = "bad-content-length"
	// BadTransferEncoding (400): Transfer-Encoding in HTTP/1.0, beside Content-Length, more
	// than once, or with chunked anywhere but alone.
	BadTransferEncoding Reason = "bad-transfer-encoding"
	// UnknownCoding (501): a transfer coding other than chunked.
	UnknownCoding Reason = "unknown-transfer-coding"
	// BadTrailer (400): Trailer announces a field that frames the message.
	BadTrailer Reason = "bad-trailer"
	// BadExpectation (417): Expect is not 100-continue.
	BadExpectation Reason = "bad-expectation"
	// BadChunk (400): the chunked coding is broken.
	BadChunk Reason = "bad-chunk"
	// WastefulChunks (400): chunks so small that most of what comes is their framing.
	WastefulChunks Reason = "wasteful-chunks"
	// BadStatusLine: a response that does not begin with a version and a status code.
	BadStatusLine Reason = "bad-status-line"
	// HeadTimeout (408): the head did not come in time.
	HeadTimeout Reason = "head-timeout"
)

// Status is the status code that a request refused for r is answered with.
func (r Reason) Status() int {
	switch r {
	case TargetTooLong:
		return http.StatusRequestURITooLong
	case BadVersion:
		return http.StatusHTTPVersionNotSupported
	case HeadTooLarge, TooManyFields:
		return http.StatusRequestHeaderFieldsTooLarge
	case UnknownCoding:
		return http.StatusNotImplemented
	case BadExpectation:
		return http.StatusExpectationFailed
	case HeadTimeout:
		return http.StatusRequestTimeout
	}
	return http.StatusBadRequest
}

// A Fault is what is wrong with a message that was refused.
type Fault struct {
	Reason Reason
	Detail string // what was wanted and what came
}

func (f *Fault) Error() string { return string(f.Reason) + ": " + f.Detail }

// fault returns a *Fault. It is an error so that no nil pointer can hide in one.
func fault(r Reason, format string, args ...any) error {
	return &Fault{r, fmt.Sprintf(format, args...)}
}

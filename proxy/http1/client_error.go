package http1

import (
	"errors"
	"fmt"
	"os"
)

// ClientError is why Client.Do has no response.
type ClientError struct {
	Stage Stage
	// Reused says that the connection had served a request before: the other side may have
	// ended it as idle at the very moment.
	Reused bool
	// Unsent says that not one byte of the request was written.
	Unsent bool
	// BodyRead says that reading of the request's body has begun.
	BodyRead bool
	Err      error // not nil
}

func (e *ClientError) Error() string { return fmt.Sprintf("%s: %v", e.Stage, e.Err) }

func (e *ClientError) Unwrap() error { return e.Err }

// Stage is how far an exchange came before it failed, or what failed it.
type Stage uint8

// The stages of an exchange.
const (
	StageRefused   Stage = iota // the request cannot be written as HTTP/1.1; nothing was done
	StageDialing                // there is no connection; Err is that of the dial function
	StageSending                // the connection broke, or ended, before a byte of a response came
	StageAnswering              // it did so within the head of a response
	StageMalformed              // what came is no response
	StageTimedOut               // no progress in time; Err wraps os.ErrDeadlineExceeded
	StageBody                   // the body of the request could not be read
	StageAbandoned              // nobody wants the response any more; Err is or wraps context.Canceled, or the context's error
)

func (s Stage) String() string {
	switch s {
	case StageRefused:
		return "request"
	case StageDialing:
		return "dial"
	case StageSending:
		return "waiting for a response"
	case StageAnswering:
		return "within the head of the response"
	case StageMalformed:
		return "malformed response"
	case StageTimedOut:
		return "timeout"
	case StageBody:
		return "body of the request"
	}
	return "abandoned"
}

// Errors for want of progress. They wrap os.ErrDeadlineExceeded.
var (
	// ErrHeadTimeout: the head of a response was not complete in time.
	ErrHeadTimeout = fmt.Errorf("no response head in time: %w", os.ErrDeadlineExceeded)
	// ErrSilent: the next byte of a response's body did not come in time.
	ErrSilent = fmt.Errorf("no byte of the response's body in time: %w", os.ErrDeadlineExceeded)
	// ErrSendTimeout: the other side did not take the next bytes of the request in time.
	ErrSendTimeout = fmt.Errorf("no byte of the request taken in time: %w", os.ErrDeadlineExceeded)
)

// errContinueTimeout is how long enough was waited for a 100 response: not a failure.
var errContinueTimeout = errors.New("no interim response in time")

// errBodyClosed is the error of a Read after Close.
var errBodyClosed = errors.New("read of a response body after its Close")

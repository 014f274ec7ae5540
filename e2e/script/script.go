// Package script is the language of the behaviour scripts: objects, then requests with what
// each must answer, in one txtar archive. README.md of the module describes it for writers.
// A Script says nothing of where its objects are served; that is the Site's part.
package script

import (
	"net/http"
	"regexp"
	"time"
)

// Script is one parsed archive.
type Script struct {
	Name  string // of the file, without ".txtar"
	Files []File // in the order of the archive
	// Flags are extra arguments of the controller that the script needs.
	Flags []string
	// Only says why the script makes no sense against a cluster; empty when it does.
	Only  string
	Steps []Step
}

// File is a section of the archive that holds objects.
type File struct {
	Name string
	Data []byte
	// Later files are not served until a step applies them.
	Later bool
}

// Step is one statement; exactly one of its fields beside Line is set.
type Step struct {
	Line    int
	Apply   string // name of a File
	Delete  string // base name of a File that was applied
	Request *Request
}

// Mode says how often a Request is sent.
type Mode uint8

const (
	// Once is the default.
	Once Mode = iota
	// Wait sends it again until every expectation holds.
	Wait
	// Stream reads the body as it comes, until every expectation holds: the response must
	// still be open then.
	Stream
)

// Request is one request statement with its modifiers and expectations.
type Request struct {
	Line   int
	Text   string // the statement as written
	Mode   Mode
	Repeat int // at least 1

	Method string // "WS" opens a WebSocket; empty for raw bytes
	Scheme string // http, https or admin; a WebSocket has http or https
	Host   string // as the client sends it; empty means the address itself
	Target string // byte for byte

	Header  []Field
	Trailer []Field
	Body    []byte
	// Proto is "HTTP/1.1" or "HTTP/2".
	Proto string
	// SNI is the server name of the handshake; nil means the host's, "" sends none.
	SNI *string
	// Chunked sends the body without its length.
	Chunked bool
	// Raw is sent as it is, in place of a request that was put together from the above.
	Raw []byte
	// Send are the messages for a WebSocket.
	Send []string

	Expect []Expectation
}

// Field is a header or trailer field.
type Field struct{ Name, Value string }

// Expectation compares one thing of an answer.
type Expectation struct {
	Line    int
	Text    string
	Subject string // "code", "header", "seen.header", ...
	Name    string // of the field, for subjects that have fields
	Op      string
	Value   string
	pattern *regexp.Regexp // of the operators ~ and !~
}

// Deadlines of a play. They bound a failure, never a success.
const (
	waitFor     = 20 * time.Second
	waitPause   = 10 * time.Millisecond
	requestTime = 30 * time.Second
)

// expectsCode reports whether the request says which status it wants; without one it is 200
// (101 for a WebSocket).
func (r *Request) expectsCode() bool {
	for _, e := range r.Expect {
		switch e.Subject {
		case "code", "error":
			return true
		}
	}
	return false
}

func (r *Request) wantedCode() int {
	if r.Method == "WS" {
		return http.StatusSwitchingProtocols
	}
	return http.StatusOK
}

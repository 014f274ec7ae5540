// Package echo is the backend of the behaviour scripts: it answers with what it received,
// so that a script can check both directions of a proxied exchange. Request headers that
// begin with "Echo-" steer the answer; README.md lists them.
package echo

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Record is one request as the backend received it: the JSON body of an answer.
type Record struct {
	Backend  string      `json:"backend"`
	Port     string      `json:"port"`
	Method   string      `json:"method"`
	Target   string      `json:"target"` // byte for byte, with the query
	Host     string      `json:"host"`
	Proto    string      `json:"proto"`
	TLS      bool        `json:"tls"`
	Header   http.Header `json:"header"`
	Trailer  http.Header `json:"trailer,omitempty"`
	Body     string      `json:"body"` // the first KiB
	BodySize int64       `json:"bodySize"`
	Framing  string      `json:"framing"` // "none", "length" or "chunked"
}

const bodyKept = 1 << 10

// Backend is an http.Handler that stands for one endpoint of a Service.
type Backend struct {
	Name string // what an answer calls it
	Port string // the name of the Service port that leads to this handler
}

// ServeHTTP answers with a Record, or as the Echo- headers of the request say.
func (b Backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Echo-Backend", b.Name)
	w.Header().Set("Server", "echo")
	if only := r.Header.Get("Echo-Only"); only != "" && only != b.Name {
		maps.DeleteFunc(r.Header, func(name string, _ []string) bool { return strings.HasPrefix(name, "Echo-") })
	}
	if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		echoMessages(w, r)
		return
	}
	if pause := r.Header.Get("Echo-Wait"); pause != "" && !wait(w, r, pause) {
		return
	}
	if r.Header.Get("Echo-Early") != "" { // answers without reading the request's body
		w.Header().Set("Connection", "close")
		w.WriteHeader(status(r))
		return
	}
	rec, err := b.record(r)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	interim(w, r)
	for _, field := range r.Header.Values("Echo-Header") {
		name, value, _ := strings.Cut(field, ":")
		w.Header().Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	for _, field := range r.Header.Values("Echo-Trailer") {
		name, _, _ := strings.Cut(field, ":")
		w.Header().Add("Trailer", strings.TrimSpace(name))
	}
	switch {
	case r.Header.Get("Echo-Break") != "":
		breakOff(w, r.Header.Get("Echo-Break"))
	case r.Header.Get("Echo-Stream") != "":
		stream(w, r)
	default:
		answer(w, r, rec)
	}
	for _, field := range r.Header.Values("Echo-Trailer") {
		name, value, _ := strings.Cut(field, ":")
		w.Header().Set(strings.TrimSpace(name), strings.TrimSpace(value))
	}
}

func (b Backend) record(r *http.Request) (Record, error) {
	rec := Record{
		Backend: b.Name, Port: b.Port,
		Method: r.Method, Target: r.RequestURI, Host: r.Host, Proto: r.Proto, TLS: r.TLS != nil,
		Header: r.Header, Framing: "length",
	}
	switch {
	case r.ContentLength < 0:
		rec.Framing = "chunked"
	case r.ContentLength == 0 && r.Header.Get("Content-Length") == "":
		rec.Framing = "none"
	}
	head, err := io.ReadAll(io.LimitReader(r.Body, bodyKept))
	if err != nil {
		return rec, err
	}
	rest, err := io.Copy(io.Discard, r.Body)
	rec.Body, rec.BodySize, rec.Trailer = string(head), int64(len(head))+rest, r.Trailer
	return rec, err
}

// answer writes the Record, or the body that Echo-Body or Echo-Size asks for.
func answer(w http.ResponseWriter, r *http.Request, rec Record) {
	var body []byte
	code := status(r)
	switch {
	case r.Header.Get("Echo-Size") != "":
		size, err := strconv.Atoi(r.Header.Get("Echo-Size"))
		if err != nil || size < 0 || size > 1<<30 {
			http.Error(w, "Echo-Size: want a number up to 1073741824, got "+r.Header.Get("Echo-Size"), http.StatusBadRequest)
			return
		}
		body = []byte(strings.Repeat("e", size))
		w.Header().Set("Content-Type", "text/plain")
	case r.Header.Get("Echo-Body") != "":
		body = []byte(r.Header.Get("Echo-Body"))
		w.Header().Set("Content-Type", "text/plain")
	default:
		var err error
		if body, err = json.Marshal(rec); err != nil {
			panic(fmt.Sprintf("a Record that JSON cannot show: %v", err))
		}
		w.Header().Set("Content-Type", "application/json")
	}
	if code == http.StatusNoContent || code == http.StatusNotModified {
		w.Header().Del("Content-Type")
		w.WriteHeader(code)
		return
	}
	if len(r.Header.Values("Echo-Trailer")) == 0 {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(code)
	_, _ = w.Write(body) // a client that left is no fault of the backend
}

func status(r *http.Request) int {
	code, err := strconv.Atoi(r.Header.Get("Echo-Status"))
	if err != nil || code < 200 || code > 999 {
		return http.StatusOK
	}
	return code
}

// interim sends the 1xx responses of Echo-Interim: a code, and optionally one header field.
func interim(w http.ResponseWriter, r *http.Request) {
	for _, want := range r.Header.Values("Echo-Interim") {
		text, field, _ := strings.Cut(want, " ")
		code, err := strconv.Atoi(text)
		if err != nil || code < 102 || code > 199 {
			continue
		}
		name, value, ok := strings.Cut(field, ":")
		if ok {
			w.Header().Set(strings.TrimSpace(name), strings.TrimSpace(value))
		}
		w.WriteHeader(code)
		if ok {
			w.Header().Del(strings.TrimSpace(name))
		}
	}
}

// wait pauses for the given duration. It is false when the client left meanwhile.
func wait(w http.ResponseWriter, r *http.Request, pause string) bool {
	d, err := time.ParseDuration(pause)
	if err != nil {
		http.Error(w, "Echo-Wait: want a duration, got "+pause, http.StatusBadRequest)
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

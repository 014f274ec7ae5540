package proxytest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Echoed is what Echo answers, as JSON: the request as it came.
type Echoed struct {
	Name       string      `json:"name"` // of the backend
	Method     string      `json:"method"`
	Path       string      `json:"path"` // the request target as received, with the query
	Host       string      `json:"host"`
	Proto      string      `json:"proto"`
	TLS        bool        `json:"tls"`
	ServerName string      `json:"serverName,omitempty"` // the SNI
	RemoteAddr string      `json:"remoteAddr"`
	Header     http.Header `json:"header"`
	// TransferEncoding and ContentLength are the framing of the body; the length is -1
	// when it was not announced.
	TransferEncoding []string    `json:"transferEncoding,omitempty"`
	ContentLength    int64       `json:"contentLength"`
	BodyLength       int64       `json:"bodyLength"`
	BodySHA256       string      `json:"bodySHA256"`
	Trailer          http.Header `json:"trailer,omitempty"`
}

// Echo answers each request with an Echoed of that name, after reading the body. Parameters of
// the query ask for more: "status=503", "delay=150ms" before the answer, "size=1000" for
// a body of that many bytes instead of the JSON, and "header=Name:value", any number of times.
// The header Backend-Name is the name.
func Echo(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		n, err := io.Copy(sum, r.Body)
		if err != nil {
			return // there is no client any more
		}
		query := r.URL.Query()
		if delay, err := time.ParseDuration(query.Get("delay")); err == nil && !wait(r, delay) {
			return
		}
		for _, h := range query["header"] {
			if key, value, ok := strings.Cut(h, ":"); ok {
				w.Header().Add(key, strings.TrimSpace(value))
			}
		}
		w.Header().Set("Backend-Name", name)
		status, err := strconv.Atoi(query.Get("status"))
		if err != nil || status < 200 || status > 999 {
			status = http.StatusOK
		}
		if size, err := strconv.ParseInt(query.Get("size"), 10, 64); err == nil && size >= 0 {
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
			w.WriteHeader(status)
			io.CopyN(w, letters{}, size)
			return
		}
		e := Echoed{
			Name: name, Method: r.Method, Path: r.RequestURI, Host: r.Host, Proto: r.Proto, RemoteAddr: r.RemoteAddr,
			Header: r.Header, TransferEncoding: r.TransferEncoding, ContentLength: r.ContentLength,
			BodyLength: n, BodySHA256: hex.EncodeToString(sum.Sum(nil)), Trailer: r.Trailer,
		}
		if r.TLS != nil {
			e.TLS, e.ServerName = true, r.TLS.ServerName
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(e)
	})
}

// letters is an endless reader of the alphabet's small letters.
type letters struct{}

func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a' + byte(i%26)
	}
	return len(p), nil
}

// wait waits for d, and reports false if the client went away before.
func wait(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

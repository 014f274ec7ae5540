// Package oracle replays what a running ingress-nginx v1.15.1 was recorded to do on the wire, against
// the real fairlead binary, and compares.
//
// testdata/corpus.jsonl.gz has one recorded case a line: objects, requests, and what came of them. No
// expectation was written by hand. See README.md for the format.
package oracle

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Case is one recorded case.
type Case struct {
	Name      string         `json:"case"`
	Title     string         `json:"title"`
	Quirk     string         `json:"quirk"` // "unsafe" or nothing
	Exclusive bool           `json:"exclusive"`
	Objects   []Object       `json:"objects"`
	ConfigMap map[string]any `json:"configmap"`
	Exchanges []Exchange     `json:"exchanges"`
}

// Object is a Kubernetes object as decoded JSON.
type Object map[string]any

// Exchange is one request, or some equal ones, with what was seen of them.
type Exchange struct {
	Request  Request         `json:"request"`
	Response Response        `json:"response"`
	Upstream *Upstream       `json:"upstream"`
	Auth     json.RawMessage `json:"auth_request"`
	Auths    any             `json:"auth_requests"`
	Repeat   int             `json:"repeat"`
	Parallel bool            `json:"parallel"`
	Keep     bool            `json:"keep_cookies"`
	Note     string          `json:"note"`
}

// Request is what is sent.
type Request struct {
	Method    string  `json:"method"`
	Scheme    string  `json:"scheme"`
	Host      *string `json:"host"`
	Path      string  `json:"path"`
	Version   string  `json:"http_version"`
	SNI       *string `json:"sni"`
	Headers   Fields  `json:"headers"`
	BodyBytes int     `json:"body_bytes"`
	Chunked   bool    `json:"chunked"`
	ClientIP  string  `json:"client_ip"`
	Proxy     string  `json:"proxy_protocol"`
}

// Fields are header fields in order: of a JSON object, or of a list of "Name: value".
type Fields []string

// UnmarshalJSON reads both forms.
func (f *Fields) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
		return json.Unmarshal(data, (*[]string)(f))
	}
	var object map[string]any
	if err := json.Unmarshal(data, &object); err != nil {
		return err
	}
	for name, value := range object {
		values, ok := value.([]any)
		if !ok {
			values = []any{value}
		}
		for _, v := range values {
			*f = append(*f, fmt.Sprintf("%s: %v", name, v))
		}
	}
	slices.SortFunc(*f, strings.Compare)
	return nil
}

// Response is what the client got.
type Response struct {
	Status      *int           `json:"status"`
	Statuses    map[string]int `json:"statuses"`
	Headers     map[string]any `json:"headers"`
	Certificate *Certificate   `json:"certificate"`
	Seconds     float64        `json:"seconds"`
	Body        *string        `json:"body"`
	BodySHA256  string         `json:"body_sha256"`
	BodyBytes   *int           `json:"body_bytes"`
	Closed      bool           `json:"closed"`
	SetCookieOn any            `json:"set_cookie_on"`
}

// Certificate is the one that was served.
type Certificate struct {
	CN  string   `json:"cn"`
	SAN []string `json:"san"`
}

// Upstream is what the backends got.
type Upstream struct {
	Backend    string            `json:"backend"`
	Method     string            `json:"method"`
	Target     any               `json:"target"`
	Host       any               `json:"host"`
	BodyBytes  int               `json:"body_bytes"`
	Protocol   string            `json:"protocol"`
	TLS        bool              `json:"tls"`
	SNI        *string           `json:"sni"`
	Headers    map[string]any    `json:"headers"`
	Deliveries any               `json:"deliveries"` // a number, or one for each Service
	Distinct   any               `json:"distinct_endpoints"`
	Shares     map[string]any    `json:"shares"`
	Others     []json.RawMessage `json:"other_deliveries"`
}

// Load reads a corpus.
func Load(file string) ([]*Case, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var cases []*Case
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		c := &Case{}
		if err := json.Unmarshal(lines.Bytes(), c); err != nil {
			return nil, fmt.Errorf("%s: case %d: %w", file, len(cases)+1, err)
		}
		cases = append(cases, c)
	}
	return cases, lines.Err()
}

func (o Object) str(path ...string) string {
	var v any = map[string]any(o)
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return ""
		}
		v = m[p]
	}
	s, _ := v.(string)
	return s
}

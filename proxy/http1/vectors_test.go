package http1

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// TestVectors sends the raw bytes of testdata/vectors and compares what the handler sees and
// what the client gets. README.md there says how to read and write them.
func TestVectors(t *testing.T) {
	files, err := filepath.Glob("testdata/vectors/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]string)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			for _, v := range readVectors(t, file) {
				if other, ok := seen[v.name]; ok {
					t.Errorf("%s: the name %s is taken in %s", v.where, v.name, other)
				}
				seen[v.name] = v.where
				t.Run(v.name, func(t *testing.T) { v.run(t) })
			}
		})
	}
	if len(seen) < 200 {
		t.Errorf("got %d vectors, want at least 200", len(seen))
	}
}

type vector struct {
	name, rfc, where string
	send             []byte
	want             []string // one for each request, of as many lines as needed
}

func readVectors(t testing.TB, file string) (vectors []vector) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var v *vector
	for i, line := range strings.Split(string(text), "\n") {
		where := fmt.Sprintf("%s:%d", file, i+1)
		kind, rest, _ := strings.Cut(line, " ")
		switch {
		case line == "" || strings.HasPrefix(line, "//"):
		case kind == "#":
			name, rfc, ok := strings.Cut(rest, ": ")
			if !ok || rfc == "" {
				t.Fatalf("%s: want a name, a colon and a source", where)
			}
			vectors = append(vectors, vector{name: name, rfc: rfc, where: where})
			v = &vectors[len(vectors)-1]
		case v == nil:
			t.Fatalf("%s: want # before all else", where)
		case kind == ">":
			sent, err := unescapeBytes(rest)
			if err != nil {
				t.Fatalf("%s: %v", where, err)
			}
			v.send = append(v.send, sent...)
		case kind == "=":
			v.want = append(v.want, expand(t, rest))
		case strings.HasPrefix(line, "  ") && len(v.want) > 0:
			last := &v.want[len(v.want)-1]
			*last += "\n" + expand(t, line[2:])
		default:
			t.Fatalf("%s: want a line that begins with #, >, = or two spaces, got %q", where, line)
		}
	}
	return vectors
}

// expand replaces \(N TEXT) in an expectation, which has no other escapes.
func expand(t testing.TB, s string) string {
	t.Helper()
	before, inner, ok := strings.Cut(s, `\(`)
	if !ok {
		return s
	}
	repeat, after, _ := strings.Cut(inner, ")")
	text, err := unescapeBytes(`\(` + repeat + ")")
	if err != nil {
		t.Fatal(err)
	}
	return before + string(text) + after
}

// unescapeBytes reads the escapes of Go strings, and \(N TEXT) for N times TEXT.
func unescapeBytes(s string) ([]byte, error) {
	var out []byte
	for s != "" {
		if inner, ok := strings.CutPrefix(s, `\(`); ok {
			repeat, rest, ok := strings.Cut(inner, ")")
			count, text, ok2 := strings.Cut(repeat, " ")
			n, err := strconv.Atoi(count)
			if !ok || !ok2 || err != nil {
				return nil, fmt.Errorf("want \\(N TEXT), got %q", s)
			}
			piece, err := unescapeBytes(text)
			if err != nil {
				return nil, err
			}
			out = append(out, bytes.Repeat(piece, n)...)
			s = rest
			continue
		}
		if s[0] != '\\' {
			out, s = append(out, s[0]), s[1:]
			continue
		}
		c, _, rest, err := strconv.UnquoteChar(s, '"')
		if err != nil || c > 0xff {
			return nil, fmt.Errorf("escape at %q: %w", s, err)
		}
		out, s = append(out, byte(c)), rest
	}
	return out, nil
}

func (v *vector) run(t *testing.T) {
	var mu sync.Mutex
	var got []string
	_, address := start(t, &Server{ReasonHeader: "Reason"}, func(w http.ResponseWriter, r *http.Request) {
		description, whole := describe(r)
		mu.Lock()
		got = append(got, description)
		mu.Unlock()
		if !whole {
			panic(http.ErrAbortHandler)
		}
	})
	c := dial(t, address)
	go func() {
		_, _ = c.Write(v.send) // the server may not want all of it
		_ = c.CloseWrite()
	}()
	answer, err := io.ReadAll(c)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !strings.Contains(err.Error(), "reset") {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	got = append(got, refusals(string(answer))...)
	if !slices.Equal(got, v.want) {
		t.Errorf("%s:\ngot  %q\nwant %q\nanswer %q", v.where, got, v.want, answer)
	}
}

// describe writes down a request as the vectors do. whole says that its body has come.
func describe(r *http.Request) (text string, whole bool) {
	host := r.Host
	if host == "" {
		host = "-"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s", r.Method, r.RequestURI, host)
	for _, line := range headerLines(r.Header) {
		b.WriteString("\n" + line)
	}
	body, err := io.ReadAll(r.Body)
	if len(body) > 0 {
		b.WriteString("\n| " + strings.Trim(strconv.QuoteToASCII(string(body)), `"`))
	}
	for _, line := range headerLines(r.Trailer) {
		b.WriteString("\n+ " + line)
	}
	if err != nil {
		var f *Fault
		if errors.As(err, &f) {
			err = errors.New(string(f.Reason))
		}
		b.WriteString("\n! " + err.Error())
	}
	return b.String(), err == nil
}

func headerLines(h http.Header) (lines []string) {
	for name, values := range h {
		for _, v := range values {
			lines = append(lines, strings.TrimSuffix(name+": "+strings.Trim(strconv.QuoteToASCII(v), `"`), " "))
		}
	}
	slices.Sort(lines)
	return lines
}

// refusals returns the status and reason of each answer that is not from the handler.
func refusals(answer string) (all []string) {
	for head := range strings.SplitSeq(answer, "HTTP/1.1 ") {
		status, _, _ := strings.Cut(head, " ")
		if _, reason, ok := strings.Cut(head, "\r\nReason: "); ok {
			reason, _, _ = strings.Cut(reason, "\r\n")
			all = append(all, status+" "+reason)
		}
	}
	return all
}

package http1

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// seeds adds what the vectors send.
func seeds(f *testing.F, add func(sent []byte)) {
	f.Helper()
	files, err := filepath.Glob("testdata/vectors/*.txt")
	if err != nil || len(files) == 0 {
		f.Fatalf("no vectors: %v", err)
	}
	for _, file := range files {
		for _, v := range readVectors(f, file) {
			if len(v.send) < 2000 {
				add(v.send)
			}
		}
	}
}

// parse reads a request from the beginning of b as a connection does.
func parse(b []byte) (t *turn, rest []byte, err error) {
	c := &conn{server: new(Server), reading: waitHead, requests: 1}
	c.slot = new(slot)
	c.in.src = &onceThenEOF{b}
	head, err := c.readHead()
	if err != nil {
		return nil, nil, err
	}
	t = getTurn(c)
	return t, bytes.Clone(c.in.bytes()), t.begin(head)
}

type onceThenEOF struct{ b []byte }

func (r *onceThenEOF) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.b)
	r.b = r.b[n:]
	return n, nil
}

// FuzzRequestHead holds what was accepted to the promises of this package, and to itself: written out
// again it means the same.
func FuzzRequestHead(f *testing.F) {
	seeds(f, func(sent []byte) { f.Add(sent) })
	f.Fuzz(func(t *testing.T, b []byte) {
		first, _, err := parse(b)
		var fault *Fault
		if err != nil {
			if !errors.As(err, &fault) && err != io.EOF {
				t.Fatalf("got error %v", err)
			}
			return
		}
		r := first.req
		if !all(r.Method, tokenByte) || r.Method == "" || !all(r.RequestURI, targetByte) || !validHost(r.Host) {
			t.Fatalf("accepted %q %q %q", r.Method, r.RequestURI, r.Host)
		}
		if len(r.Header["Host"]) > 0 || len(r.Header["Transfer-Encoding"]) > 0 || len(r.Header["Content-Length"]) > 1 {
			t.Fatalf("accepted fields %q", r.Header)
		}
		if r.ContentLength < 0 && (len(r.Header["Content-Length"]) > 0 || r.ProtoMinor == 0) {
			t.Fatalf("accepted two framings: %q", r.Header)
		}
		var again strings.Builder
		fmt.Fprintf(&again, "%s %s %s\r\nHost: %s\r\n", r.Method, r.RequestURI, r.Proto, r.Host)
		fields := 0
		for name, values := range r.Header {
			if !all(name, tokenByte) || name == "" || http.CanonicalHeaderKey(name) != name {
				t.Fatalf("accepted field %q", name)
			}
			for _, v := range values {
				if !all(v, valueByte) || trimSpace(v) != v {
					t.Fatalf("accepted field %s: %q", name, v)
				}
				fmt.Fprintf(&again, "%s: %s\r\n", name, v)
				fields++
			}
		}
		if fields > maxRequestFields || len(r.RequestURI) > maxTarget {
			t.Fatalf("accepted %d fields and %d bytes of target", fields, len(r.RequestURI))
		}
		if r.ContentLength < 0 {
			again.WriteString("Transfer-Encoding: chunked\r\n")
		}
		want := outline(r)
		second, rest, err := parse([]byte(again.String() + "\r\nrest"))
		if fields == maxRequestFields && errors.As(err, &fault) && fault.Reason == TooManyFields {
			return // with a Host that it did not have
		}
		if err != nil || string(rest) != "rest" {
			t.Fatalf("%q is refused, or ends elsewhere (%q): %v", again.String(), rest, err)
		}
		if diff := cmp.Diff(want, outline(second.req)); diff != "" && len(r.Trailer) == 0 {
			t.Fatalf("%q means something else (-want +got):\n%s", again.String(), diff)
		}
	})
}

// outline is what a handler sees of a request before its body.
func outline(r *http.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q %s %q %d %v %q\n", r.Method, r.RequestURI, r.Proto, r.Host, r.ContentLength, r.Close, r.URL)
	fmt.Fprintf(&b, "%q %q %q %q\n", r.URL.Path, r.URL.RawPath, r.URL.RawQuery, r.URL.Host)
	return b.String() + strings.Join(headerLines(r.Header), "\n")
}

// FuzzChunked compares with net/http's reader in one direction, and with itself on bytes that come one by
// one.
func FuzzChunked(f *testing.F) {
	seeds(f, func(sent []byte) {
		if _, body, ok := bytes.Cut(sent, []byte("chunked\r\n\r\n")); ok {
			f.Add(body)
		}
	})
	read := func(src io.Reader) (data []byte, rest []byte, trailer http.Header, err error) {
		in := &input{src: src}
		var c chunkedReader
		c.reset(in, new(fieldStore), maxTrailer, maxRequestFields)
		data, err = io.ReadAll(&c)
		if err == nil {
			rest, _ = io.ReadAll(in)
		}
		return data, rest, c.trailer, err
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		data, rest, trailer, err := read(bytes.NewReader(b))
		slowData, slowRest, slowTrailer, slowErr := read(iotest.OneByteReader(bytes.NewReader(b)))
		if !bytes.Equal(data, slowData) || !bytes.Equal(rest, slowRest) || fmt.Sprint(err) != fmt.Sprint(slowErr) ||
			!cmp.Equal(trailer, slowTrailer) {
			t.Fatalf("in one piece: %q %q %v %v\nbyte by byte: %q %q %v %v", data, rest, trailer, err, slowData, slowRest, slowTrailer, slowErr)
		}
		if err != nil {
			return
		}
		theirs := httputil.NewChunkedReader(bytes.NewReader(b))
		theirData, theirErr := io.ReadAll(theirs)
		if theirErr != nil || !bytes.Equal(data, theirData) {
			t.Fatalf("got %q, net/http %q and %v", data, theirData, theirErr)
		}
	})
}

package http1

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestChunkedReader(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, tt := range []struct {
		name, in string
		want     string // the data
		trailer  http.Header
		rest     string // what is not used up
		reason   Reason
		err      error
	}{
		{name: "empty", in: "0\r\n\r\n"},
		{name: "one chunk", in: "5\r\nhello\r\n0\r\n\r\n", want: "hello"},
		{name: "two chunks", in: "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", want: "hello world"},
		{name: "upper-case size", in: "C\r\nhello, world\r\n0\r\n\r\n", want: "hello, world"},
		{name: "lower-case size", in: "c\r\nhello, world\r\n0\r\n\r\n", want: "hello, world"},
		{name: "leading zeros", in: "0005\r\nhello\r\n000\r\n\r\n", want: "hello"},
		{name: "sixteen digits", in: "0000000000000005\r\nhello\r\n0\r\n\r\n", want: "hello"},
		{name: "what follows stays", in: "1\r\nx\r\n0\r\n\r\nGET /", want: "x", rest: "GET /"},
		{name: "data of a line end", in: "2\r\n\r\n\r\n0\r\n\r\n", want: "\r\n"},
		{name: "extension", in: "5;a\r\nhello\r\n0;b\r\n\r\n", want: "hello"},
		{name: "extension with token", in: "5;a=b;c\r\nhello\r\n0\r\n\r\n", want: "hello"},
		{name: "extension with string", in: "5 ; a = \"b\\\"; c\"\r\nhello\r\n0\r\n\r\n", want: "hello"},
		{name: "trailer", in: "0\r\nA: 1\r\nb: 2\r\n\r\n", trailer: http.Header{"A": {"1"}, "B": {"2"}}},
		{name: "longest extension", in: "1;" + strings.Repeat("x", maxChunkLine-2) + "\r\nx\r\n0\r\n\r\n", want: "x"},

		{name: "nothing", in: "", err: io.ErrUnexpectedEOF},
		{name: "end in size", in: "5", err: io.ErrUnexpectedEOF},
		{name: "end in data", in: "5\r\nhell", want: "hell", err: io.ErrUnexpectedEOF},
		{name: "end after data", in: "5\r\nhello", want: "hello", err: io.ErrUnexpectedEOF},
		{name: "end after chunk", in: "5\r\nhello\r\n", want: "hello", err: io.ErrUnexpectedEOF},
		{name: "end in last chunk", in: "5\r\nhello\r\n0\r\n", want: "hello", err: io.ErrUnexpectedEOF},
		{name: "end in trailer", in: "0\r\nA: 1\r\n", err: io.ErrUnexpectedEOF},
		{name: "no size", in: "\r\nhello", reason: BadChunk},
		{name: "not hexadecimal", in: "g\r\n", reason: BadChunk},
		{name: "prefix 0x", in: "0x5\r\nhello", reason: BadChunk},
		{name: "sign", in: "+5\r\nhello", reason: BadChunk},
		{name: "negative", in: "-5\r\nhello", reason: BadChunk},
		{name: "underscore", in: "1_0\r\nhello", reason: BadChunk},
		{name: "leading space", in: " 5\r\nhello", reason: BadChunk},
		{name: "trailing space", in: "5 \r\nhello", reason: BadChunk},
		{name: "trailing tab", in: "5\t\r\nhello", reason: BadChunk},
		{name: "semicolon alone", in: "5;\r\nhello", reason: BadChunk},
		{name: "extension without name", in: "5;=a\r\nhello", reason: BadChunk},
		{name: "extension without value", in: "5;a=\r\nhello", reason: BadChunk},
		{name: "open string", in: "5;a=\"b\r\nhello", reason: BadChunk},
		{name: "line break in a string", in: "5;a=\"\n\"\r\nhello", reason: BadChunk},
		{name: "CR in an extension", in: "5;a\rb\r\nhello", reason: BadChunk},
		{name: "NUL in an extension", in: "5;a\x00\r\nhello", reason: BadChunk},
		{name: "CR CR LF", in: "5\r\r\nhello", reason: BadChunk},
		{name: "bare LF after size", in: "5\nhello\r\n0\r\n\r\n", reason: BadChunk},
		{name: "bare CR after size", in: "5\rhello\r\n0\r\n\r\n", reason: BadChunk},
		{name: "bare LF after data", in: "5\r\nhello\n0\r\n\r\n", want: "hello", reason: BadChunk},
		{name: "bare CR after data", in: "5\r\nhello\r0\r\n\r\n", want: "hello", reason: BadChunk},
		{name: "data too long", in: "5\r\nhello!\r\n0\r\n\r\n", want: "hello", reason: BadChunk},
		{name: "bare LF after last chunk", in: "0\n\r\n", reason: BadChunk},
		{name: "bare LF at the end", in: "0\r\n\n", reason: BadLineEnd},
		{name: "bare LF after trailer", in: "0\r\nA: 1\n\r\n", reason: BadLineEnd},
		{name: "folded trailer", in: "0\r\nA: 1\r\n 2\r\n\r\n", reason: BadField},
		{name: "space in trailer name", in: "0\r\nA : 1\r\n\r\n", reason: BadField},
		{name: "seventeen digits", in: "00000000000000005\r\nhello", reason: BadChunk},
		{name: "2^63", in: "8000000000000000\r\nhello", reason: BadChunk},
		{name: "2^64 and more", in: "10000000000000005\r\nhello", reason: BadChunk},
		{name: "long extension", in: "1;" + strings.Repeat("x", maxChunkLine-1) + "\r\nx\r\n0\r\n\r\n", reason: BadChunk},
		{name: "endless extension", in: "1;" + strings.Repeat("x", 1<<16), reason: BadChunk},
		{name: "large trailer", in: "0\r\nA: " + strings.Repeat("x", maxTrailer) + "\r\n\r\n", reason: HeadTooLarge},
		{name: "many trailers", in: "0\r\n" + strings.Repeat("A:\r\n", 101) + "\r\n", reason: TooManyFields},
		{
			name: "wasteful extensions", in: strings.Repeat("1;"+long+"\r\nx\r\n", 100),
			want: strings.Repeat("x", 56), reason: WastefulChunks,
		},
		{
			name: "fair one-byte chunks", in: strings.Repeat("1\r\nx\r\n", 20000) + "0\r\n\r\n",
			want: strings.Repeat("x", 20000),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for name, src := range map[string]io.Reader{
				"whole": strings.NewReader(tt.in),
				"bytes": iotest.OneByteReader(strings.NewReader(tt.in)),
				"eof":   iotest.DataErrReader(strings.NewReader(tt.in)),
			} {
				in := &input{src: src, poison: true}
				var c chunkedReader
				c.reset(in, new(fieldStore), maxTrailer, maxRequestFields)
				got, err := io.ReadAll(&c)
				if string(got) != tt.want {
					t.Errorf("%s: got data %q, want %q", name, got, tt.want)
				}
				var f *Fault
				switch {
				case tt.reason != "":
					if !errors.As(err, &f) || f.Reason != tt.reason {
						t.Errorf("%s: got error %v, want a fault with reason %s", name, err, tt.reason)
					}
				case err != tt.err:
					t.Errorf("%s: got error %v, want %v", name, err, tt.err)
				}
				if err == nil {
					rest, _ := io.ReadAll(in)
					if string(rest) != tt.rest {
						t.Errorf("%s: left %q, want %q", name, rest, tt.rest)
					}
				}
				if diff := cmp.Diff(tt.trailer, c.trailer); diff != "" {
					t.Errorf("%s: trailer (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

// What has come must not wait for what has not.
func TestChunkedReaderDoesNotWait(t *testing.T) {
	pr, pw := io.Pipe()
	defer pw.Close()
	in := &input{src: pr}
	var c chunkedReader
	c.reset(in, new(fieldStore), maxTrailer, maxRequestFields)
	for _, piece := range []string{"5\r\nhello", "\r\n3\r\nabc\r", "\n2\r\nde\r\n1", "\r\nf\r\n0\r\n\r\n"} {
		go pw.Write([]byte(piece))
		buf := make([]byte, 100)
		n, err := c.Read(buf)
		if n == 0 || err != nil && err != io.EOF {
			t.Fatalf("after %q: got %d bytes, %v", piece, n, err)
		}
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("got %d bytes, %v; want io.EOF", n, err)
	}
}

func TestAppendChunkSize(t *testing.T) {
	for n, want := range map[int]string{1: "1\r\n", 255: "ff\r\n", 16 << 10: "4000\r\n"} {
		if got := string(appendChunkSize([]byte("x"), n)); got != "x"+want {
			t.Errorf("%d: got %q, want %q", n, got, "x"+want)
		}
	}
}

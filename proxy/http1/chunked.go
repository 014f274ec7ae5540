package http1

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
)

// chunkedReader reads a body in the chunked coding (RFC 9112, 7.1). It takes no more from its
// input than the body with its trailer section, extensions are dropped, and what the grammar
// does not allow is an error: bare LF, whitespace around a size, other digits than hexadecimal.
type chunkedReader struct {
	in     *input
	store  *fieldStore
	limit  int // bytes of the trailer section
	fields int // how many trailer fields there may be

	state chunkState
	left  int64 // of the chunk
	waste int64 // bytes of framing beyond what is fair for the data so far
	err   error // sticky

	// trailer has the trailer fields once Read has returned io.EOF; nil when there were none.
	trailer http.Header
}

type chunkState uint8

const (
	atChunkSize chunkState = iota
	inChunk
	atChunkEnd // the CRLF after its data
	atTrailer
)

// reset makes c ready for a body that begins at the first unused byte of in.
func (c *chunkedReader) reset(in *input, s *fieldStore, limit, fields int) {
	*c = chunkedReader{in: in, store: s, limit: limit, fields: fields}
}

// Read does not wait for more once it has something. It returns io.EOF together with the last
// data when the end is there too. Other errors are a *Fault with BadChunk, WastefulChunks or a
// reason of scanFields; io.ErrUnexpectedEOF; or one of the connection.
func (c *chunkedReader) Read(p []byte) (n int, err error) {
	for c.err == nil {
		if c.state == inChunk {
			if n == len(p) || n > 0 && c.in.len() == 0 {
				return n, nil
			}
			m, err := c.in.Read(p[n : n+int(min(int64(len(p)-n), c.left))])
			n += m
			if c.left -= int64(m); c.left == 0 {
				c.state = atChunkEnd
			} else if err != nil {
				c.err = unexpected(err)
			}
			continue
		}
		done, err := c.framing(n > 0)
		if err != nil {
			c.err = unexpected(err)
		} else if !done {
			return n, nil
		}
	}
	return n, c.err
}

// framing reads one piece of what is between the data. done is false when it is not all there
// and buffered says not to wait. At the end of the body it sets c.err.
func (c *chunkedReader) framing(buffered bool) (done bool, err error) {
	if c.state == atTrailer {
		return c.readTrailer(buffered)
	}
	line, done, err := c.line(buffered)
	if !done || err != nil {
		return done, err
	}
	switch c.state {
	case atChunkEnd:
		if len(line) != 0 {
			return false, fault(BadChunk, "want CRLF after the data of a chunk, got %.20q", line)
		}
		c.state = atChunkSize
		c.in.advance(2)
	case atChunkSize:
		size, err := parseChunkSize(line)
		if err != nil {
			return false, err
		}
		c.in.advance(len(line) + 2)
		if size == 0 {
			c.state = atTrailer
			break
		}
		c.state, c.left = inChunk, size
		// The size line, and CRLF after the data. Sixteen bytes a chunk and two for each of data
		// are fair, one byte of data alone is worth sixteen.
		c.waste = max(0, c.waste+int64(len(line))+4-min(16*size, 16+2*size))
		if c.waste > maxChunkWaste {
			return false, fault(WastefulChunks, "want less framing, got %d bytes of it beyond what the data is worth", c.waste)
		}
	}
	return true, nil
}

// line returns the next line without its CRLF, and does not use it up.
func (c *chunkedReader) line(buffered bool) (line []byte, done bool, err error) {
	want, most := "size", maxChunkLine
	if c.state == atChunkEnd {
		want, most = "end", 0
	}
	for {
		b := c.in.bytes()
		if i := bytes.IndexByte(b, '\n'); i >= 0 && i <= most+1 {
			if i == 0 || b[i-1] != '\r' {
				return nil, false, fault(BadChunk, "want CRLF after the %s of a chunk, got LF alone", want)
			}
			return b[:i-1], true, nil
		} else if i >= 0 || len(b) >= most+2 {
			return nil, false, fault(BadChunk, "want CRLF after the %s of a chunk, got more than %d bytes", want, most)
		}
		if buffered {
			return nil, false, nil
		}
		if err := c.in.more(maxChunkLine + 2); err != nil {
			return nil, false, err
		}
	}
}

func (c *chunkedReader) readTrailer(buffered bool) (done bool, err error) {
	var s headScanner
	for {
		b := c.in.bytes()
		end, err := s.scan(b, c.limit)
		if err != nil {
			return false, err
		}
		if end > c.limit || end == 0 && len(b) >= c.limit {
			return false, fault(HeadTooLarge, "want a trailer section of at most %d bytes", c.limit)
		}
		if end > 0 {
			if end > len("\r\n") {
				trailer := make(http.Header)
				if err := scanFields(string(b[:end-2]), trailer, c.store, c.fields); err != nil {
					return false, err
				}
				c.trailer = trailer
			}
			c.in.advance(end)
			c.err = io.EOF
			return true, nil
		}
		if buffered {
			return false, nil
		}
		if err := c.in.more(c.limit); err != nil {
			return false, err
		}
	}
}

// unexpected turns the end of the connection into an error of the body.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// parseChunkSize reads a chunk size with its extensions:
//
//	chunk-size [ *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] ) ]
func parseChunkSize(line []byte) (int64, error) {
	var size uint64
	i := 0
	for ; i < len(line); i++ {
		d, ok := hexDigit(line[i])
		if !ok {
			break
		}
		if i == 16 {
			return 0, fault(BadChunk, "want a chunk size of at most 16 digits")
		}
		size = size<<4 | uint64(d)
	}
	if i == 0 {
		return 0, fault(BadChunk, "want a chunk size, got %.20q", line)
	}
	if size > 1<<63-1 {
		return 0, fault(BadChunk, "want a chunk size below 2^63, got %.16q", line)
	}
	if !validExtensions(line[i:]) {
		return 0, fault(BadChunk, "want extensions or CRLF after a chunk size, got %.40q", line)
	}
	return int64(size), nil
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// validExtensions reports whether b is chunk extensions by the grammar, or nothing. Some servers
// end the line at a line break within a quoted string, which is why these are not skipped
// unread.
func validExtensions(b []byte) bool {
	for len(b) > 0 {
		b = skipSpace(b)
		if len(b) == 0 || b[0] != ';' {
			return false
		}
		n := 0
		b = skipSpace(b[1:])
		for n < len(b) && classes[b[n]]&tokenByte != 0 {
			n++
		}
		if n == 0 {
			return false
		}
		b = b[n:]
		value := skipSpace(b)
		if len(value) == 0 || value[0] != '=' {
			continue
		}
		b = skipSpace(value[1:])
		if n = extensionValue(b); n == 0 {
			return false
		}
		b = b[n:]
	}
	return true
}

// extensionValue returns the length of the token or quoted string that b begins with; 0 for
// none.
func extensionValue(b []byte) int {
	if len(b) == 0 || b[0] != '"' {
		n := 0
		for n < len(b) && classes[b[n]]&tokenByte != 0 {
			n++
		}
		return n
	}
	for i := 1; i < len(b); i++ {
		switch {
		case b[i] == '"':
			return i + 1
		case b[i] == '\\':
			if i++; i == len(b) || classes[b[i]]&valueByte == 0 {
				return 0
			}
		case classes[b[i]]&valueByte == 0:
			return 0
		}
	}
	return 0
}

func skipSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	return b
}

// lastChunk ends the data of a chunked body. Trailer fields and an empty line follow it.
const lastChunk = "0\r\n"

// appendChunkSize appends the line before a chunk of n bytes, which is not 0. CRLF follows the
// data.
func appendChunkSize(dst []byte, n int) []byte {
	return append(strconv.AppendUint(dst, uint64(n), 16), "\r\n"...)
}

package http1

import (
	"errors"
	"io"
	"sync"
)

// errBufferFull is returned by input.more when what is buffered has reached the limit.
var errBufferFull = errors.New("http1: the input buffer is full")

// input is what was read from a connection and not yet used. It holds a buffer only while it
// holds bytes, or is being filled.
type input struct {
	src  io.Reader // a Read that returns 0 bytes returns an error
	buf  []byte    // from bufferPools, or nil
	r, w int       // the bytes not yet used are buf[r:w]

	poison bool // tests: overwrite buffers that are given back
}

func (in *input) len() int { return in.w - in.r }

// bytes are those not yet used. They are valid until the next call of another method.
func (in *input) bytes() []byte { return in.buf[in.r:in.w] }

// advance marks n bytes as used.
func (in *input) advance(n int) {
	in.r += n
	if in.r == in.w {
		in.r, in.w = 0, 0
	}
}

// more reads once, so that at least one byte more is buffered than before, of at most limit in
// all.
func (in *input) more(limit int) error {
	if err := in.room(limit); err != nil {
		return err
	}
	n, err := in.src.Read(in.buf[in.w:])
	in.w += n
	if n > 0 {
		return nil // the error comes again
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// room makes place for at least one byte behind those that are buffered.
func (in *input) room(limit int) error {
	switch {
	case in.buf == nil:
		in.buf = getBuffer(smallBuffer)
	case in.w < len(in.buf):
	case in.r > 0:
		in.w = copy(in.buf, in.buf[in.r:in.w])
		in.r = 0
	case len(in.buf) >= limit || len(in.buf) >= largeBuffer:
		return errBufferFull
	default:
		bigger := getBuffer(2 * len(in.buf))
		copy(bigger, in.buf[:in.w])
		putBuffer(in.buf, in.poison)
		in.buf = bigger
	}
	return nil
}

// Read returns what is buffered, else reads once past the buffer.
func (in *input) Read(p []byte) (int, error) {
	if in.r == in.w {
		return in.src.Read(p)
	}
	n := copy(p, in.buf[in.r:in.w])
	in.advance(n)
	return n, nil
}

// preload fills an empty input with a copy of b, which may be longer than any buffer.
func (in *input) preload(b []byte) {
	if len(b) == 0 {
		return
	}
	size := smallBuffer
	for size < len(b) && size < largeBuffer {
		size *= 2
	}
	in.buf = getBuffer(size)
	if len(b) > size {
		in.buf = make([]byte, len(b))
	}
	in.r, in.w = 0, copy(in.buf, b)
}

// release gives the buffer back when it is empty.
func (in *input) release() {
	if in.buf != nil && in.r == in.w {
		putBuffer(in.buf, in.poison)
		in.buf, in.r, in.w = nil, 0, 0
	}
}

// drop gives the buffer back with what is in it.
func (in *input) drop() {
	in.r, in.w = 0, 0
	in.release()
}

// Buffers are of 4 KiB and its doubles up to 64 KiB.
const (
	smallBuffer = 4 << 10
	largeBuffer = 64 << 10
)

// bufferPools has a pool of *[n]byte for each size of buffers.
var bufferPools = [...]sync.Pool{
	{New: func() any { return new([smallBuffer]byte) }},
	{New: func() any { return new([smallBuffer << 1]byte) }},
	{New: func() any { return new([smallBuffer << 2]byte) }},
	{New: func() any { return new([smallBuffer << 3]byte) }},
	{New: func() any { return new([smallBuffer << 4]byte) }},
}

// getBuffer returns a buffer of size bytes, one of the sizes there are. Its bytes are not zero.
func getBuffer(size int) []byte {
	switch size {
	case smallBuffer:
		return bufferPools[0].Get().(*[smallBuffer]byte)[:]
	case smallBuffer << 1:
		return bufferPools[1].Get().(*[smallBuffer << 1]byte)[:]
	case smallBuffer << 2:
		return bufferPools[2].Get().(*[smallBuffer << 2]byte)[:]
	case smallBuffer << 3:
		return bufferPools[3].Get().(*[smallBuffer << 3]byte)[:]
	default:
		return bufferPools[4].Get().(*[smallBuffer << 4]byte)[:]
	}
}

// putBuffer gives back what getBuffer returned. It must not be used any more.
func putBuffer(b []byte, poison bool) {
	b = b[:cap(b)]
	if poison {
		for i := range b {
			b[i] = 0xdb
		}
	}
	switch len(b) {
	case smallBuffer:
		bufferPools[0].Put((*[smallBuffer]byte)(b))
	case smallBuffer << 1:
		bufferPools[1].Put((*[smallBuffer << 1]byte)(b))
	case smallBuffer << 2:
		bufferPools[2].Put((*[smallBuffer << 2]byte)(b))
	case smallBuffer << 3:
		bufferPools[3].Put((*[smallBuffer << 3]byte)(b))
	case smallBuffer << 4:
		bufferPools[4].Put((*[smallBuffer << 4]byte)(b))
	}
}

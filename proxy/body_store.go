package proxy

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
)

// BodyLimits are of the bodies of requests that are read whole before a backend gets them, all of
// them together. What goes beyond is not refused: the rest of that body is streamed.
type BodyLimits struct {
	// Dir is where files are made for what memory does not hold. They have no name as soon as
	// they are open. Empty: there are no files.
	Dir string
	// Disk is how many bytes the files may have. Zero: 1 GiB; negative: none.
	Disk int64
	// Memory is how many bytes may be held in memory. Zero: 64 MiB; negative: none.
	Memory int64
}

// BodyCounts is what became of the bodies that were to be read whole.
type BodyCounts struct {
	// Kept in memory alone, with a part in a file, streamed because there was no room, and refused
	// because a file could not be written.
	Memory, File, Streamed, Failed uint64
	// Bytes that are held now.
	MemoryBytes, FileBytes int64
}

// bodyStore keeps bodies. Its limits do not change once it is used.
type bodyStore struct {
	BodyLimits
	memory, disk                       atomic.Int64 // in use
	inMemory, inFile, streamed, failed atomic.Uint64
}

func (l BodyLimits) withDefaults() BodyLimits {
	if l.Disk == 0 {
		l.Disk = 1 << 30
	}
	if l.Memory == 0 {
		l.Memory = 64 << 20
	}
	return l
}

func (s *bodyStore) counts() BodyCounts {
	return BodyCounts{
		Memory: s.inMemory.Load(), File: s.inFile.Load(), Streamed: s.streamed.Load(), Failed: s.failed.Load(),
		MemoryBytes: s.memory.Load(), FileBytes: s.disk.Load(),
	}
}

// errNotKept is why a body could not be read whole: it is no fault of the client.
var errNotKept = errors.New("the body cannot be kept")

// memoryStep is by how much what is held in memory grows, and how much is read at once.
const memoryStep = 16 << 10

// keptBody is the body of a request that was read before a backend gets it. It belongs to the
// goroutine of the request, but its readers may be used by any, also once it was released: then
// they fail.
type keptBody struct {
	store    *bodyStore
	head     []byte   // the first part
	file     *os.File // what follows it; nil: nothing
	size     int64    // of both
	reserved int64    // of store.disk
	held     int64    // of store.memory
	whole    bool     // there is no more than that
}

// keep reads source, of which length bytes are announced (-1: it is not known), until it ends or there
// is no more room. At most memory bytes are held in memory. The caller releases the keptBody, which
// is never nil. An error that is not errNotKept is one of source.
func (s *bodyStore) keep(source io.Reader, length, memory int64) (*keptBody, error) {
	b := &keptBody{store: s}
	if room := s.room(memory); length > room {
		s.streamed.Add(1)
		return b, nil // most of it would be streamed, so all of it is
	}
	err := b.fill(source, length, memory)
	switch {
	case errors.Is(err, errNotKept):
		s.failed.Add(1)
	case err != nil:
	case !b.whole:
		s.streamed.Add(1)
	case b.file != nil:
		s.inFile.Add(1)
	default:
		s.inMemory.Add(1)
	}
	return b, err
}

// room is how long a body may be now.
func (s *bodyStore) room(memory int64) int64 {
	n := max(min(memory, s.Memory-s.memory.Load()), 0)
	if s.Dir != "" {
		n += max(s.Disk-s.disk.Load(), 0)
	}
	return n
}

// reserve takes n bytes of a limit, and reports false if they are not there.
func reserve(used *atomic.Int64, n, limit int64) bool {
	if used.Add(n) <= limit {
		return true
	}
	used.Add(-n)
	return false
}

func (b *keptBody) fill(source io.Reader, length, memory int64) error {
	if err := b.fillHead(source, length, memory); err != nil || b.whole || b.store.Dir == "" {
		return err
	}
	return b.fillFile(source)
}

// fillHead reads into memory.
func (b *keptBody) fillHead(source io.Reader, length, memory int64) error {
	for b.size < memory {
		if int64(cap(b.head)) == b.size {
			// One more than is announced, so that the end is seen without more memory.
			grow := min(max(b.size, memoryStep), memory-b.size)
			if length >= 0 && length < memory {
				grow = max(length-b.size, 0) + 1
			}
			if !reserve(&b.store.memory, grow, b.store.Memory) {
				return nil
			}
			b.held += grow
			b.head = append(make([]byte, 0, b.size+grow), b.head...)
		}
		n, err := source.Read(b.head[b.size:cap(b.head)])
		b.size += int64(n)
		b.head = b.head[:b.size]
		if err == io.EOF {
			b.whole = true
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fillFile reads into a file. What was read when the room is full has its place in it.
func (b *keptBody) fillFile(source io.Reader) error {
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	for {
		if !reserve(&b.store.disk, int64(len(buf)), b.store.Disk) {
			return nil
		}
		b.reserved += int64(len(buf))
		var err error
		n := 0
		for n < len(buf) && err == nil {
			var m int
			m, err = source.Read(buf[n:])
			n += m
		}
		if n > 0 {
			if failed := b.write(buf[:n]); failed != nil {
				return fmt.Errorf("%w: %w", errNotKept, failed)
			}
			b.size += int64(n)
		}
		if err == io.EOF {
			b.whole = true
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (b *keptBody) write(p []byte) error {
	if b.file == nil {
		f, err := os.CreateTemp(b.store.Dir, "fairlead-body-")
		if err != nil {
			return err
		}
		b.file = f
		// Nobody else opens it, and nothing is left of it, however we end.
		if err := os.Remove(f.Name()); err != nil {
			return err
		}
	}
	_, err := b.file.Write(p)
	return err
}

// release gives back what b takes.
func (b *keptBody) release() {
	if b.file != nil {
		_ = b.file.Close() // nothing of it is wanted any more
	}
	b.store.memory.Add(-b.held)
	b.store.disk.Add(-b.reserved)
}

// streams reports whether a request is a stream, whose sender waits for answers to what it has sent.
func streams(r *http.Request) bool {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	return kind == "application/grpc" || strings.HasPrefix(kind, "application/grpc+")
}

// send makes b the body of out, and body what follows it if that is not whole.
func (b *keptBody) send(out *http.Request, body *requestBody) {
	if !b.whole {
		if b.size > 0 {
			out.Body = b.reader(body)
		}
		return
	}
	// Nobody is asked to send anything any more.
	delete(out.Header, "Expect")
	if len(out.Trailer) == 0 {
		out.ContentLength = b.size
	}
	if b.size == 0 && len(out.Trailer) == 0 {
		out.Body = http.NoBody
		return
	}
	out.Body = b.reader(nil)
	out.GetBody = func() (io.ReadCloser, error) { return b.reader(nil), nil }
}

// reader returns a reader of what was kept, and then of rest, which is closed with it; nil for none.
func (b *keptBody) reader(rest io.ReadCloser) io.ReadCloser {
	return &keptReader{of: b, rest: rest}
}

type keptReader struct {
	of     *keptBody
	at     int64
	rest   io.ReadCloser
	closed atomic.Bool
}

func (r *keptReader) Read(p []byte) (int, error) {
	b := r.of
	switch head := int64(len(b.head)); {
	case r.closed.Load():
		return 0, os.ErrClosed
	case len(p) == 0:
		return 0, nil
	case r.at < head:
		n := copy(p, b.head[r.at:])
		r.at += int64(n)
		if r.at == b.size && r.rest == nil {
			return n, io.EOF
		}
		return n, nil
	case r.at < b.size:
		n, err := b.file.ReadAt(p[:min(int64(len(p)), b.size-r.at)], r.at-head)
		r.at += int64(n)
		if err == io.EOF && n > 0 {
			err = nil
		}
		return n, err
	case r.rest != nil:
		return r.rest.Read(p)
	}
	return 0, io.EOF
}

// Close ends the reading.
func (r *keptReader) Close() error {
	r.closed.Store(true)
	if r.rest != nil {
		return r.rest.Close()
	}
	return nil
}

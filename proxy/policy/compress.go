package policy

import (
	"compress/gzip"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"

	"github.com/fairlead-ingress/fairlead/proxy/http1"
)

// Compression is one coding in which responses are sent to clients that take it.
type Compression struct {
	Level     int
	MinLength int // of a body whose length is known
	// Types are media types in lower case; text/html is always one of them, and "*" is all.
	Types []string
}

const compressedTypes = "application/atom+xml application/javascript application/x-javascript application/json application/rss+xml " +
	"application/vnd.ms-fontobject application/x-font-ttf application/x-web-app-manifest+json application/xhtml+xml application/xml " +
	"font/opentype image/svg+xml image/x-icon text/css text/javascript text/plain text/x-component"

// compressionKeys are the keys of one coding.
type compressionKeys struct{ use, level, min, types Key }

// compressionKeysOf makes the keys of a coding.
func compressionKeysOf(use, name, level, levels, least string) compressionKeys {
	return compressionKeys{
		use: Key{
			Name: use, GlobalOnly: true, Value: "true or false", Default: "false",
			Doc: "compresses responses with status 200, 403 or 404 for clients that take " + name + "; Cache-Control: no-transform forbids it",
		},
		level: Key{Name: name + "-level", GlobalOnly: true, Value: levels, Default: level, Doc: "effort of " + use},
		min:   Key{Name: name + "-min-length", GlobalOnly: true, Value: "bytes", Default: least, Doc: "shortest body that " + use + " compresses, if its length is known"},
		types: Key{
			Name: name + "-types", GlobalOnly: true, Value: "media types, separated by spaces; * for all", Default: "text, JSON, XML, scripts and fonts",
			Doc: "what " + use + " compresses beside text/html",
		},
	}
}

var (
	gzipKeys   = compressionKeysOf("use-gzip", "gzip", "1", "1 to 9", "256")
	brotliKeys = compressionKeysOf("enable-brotli", "brotli", "4", "0 to 11", "20")
)

var compression = feature{
	name: "compression",
	keys: []Key{
		gzipKeys.use, gzipKeys.level, gzipKeys.min, gzipKeys.types,
		brotliKeys.use, brotliKeys.level, brotliKeys.min, brotliKeys.types,
	},
	read: func(r *reader, s *Set) {
		s.Gzip = r.compression(&gzipKeys, gzip.BestSpeed, gzip.BestCompression, 1, 256)
		s.Brotli = r.compression(&brotliKeys, brotli.BestSpeed, brotli.BestCompression, 4, 20)
	},
	wrap: func(l link, next http.Handler) http.Handler {
		var all []coding
		if b := l.Brotli; b != nil {
			all = append(all, coding{"br", []string{"br"}, b, &l.env.brotli[b.Level], func(level int) encoder { return brotli.NewWriterLevel(nil, level) }})
		}
		if g := l.Gzip; g != nil {
			all = append(all, coding{"gzip", []string{"gzip", "x-gzip"}, g, &l.env.writers[g.Level], func(level int) encoder {
				z, _ := gzip.NewWriterLevel(nil, level) // the level is one that there is
				return z
			}})
		}
		if len(all) == 0 {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			z := &compressWriter{ResponseWriter: w, codings: all, head: r.Method == http.MethodHead}
			for i := range all {
				z.accepted[i] = r.ProtoAtLeast(1, 1) && all[i].accepted(r.Header)
			}
			next.ServeHTTP(z, r)
			z.end()
		})
	},
}

// compression reads what is compressed in a coding; nil when nothing is.
func (r *reader) compression(k *compressionKeys, lowest, highest, level, least int) *Compression {
	on := r.boolean(k.use, false)
	c := Compression{Level: r.integer(k.level, lowest, highest, level), MinLength: r.integer(k.min, 0, 1<<30, least)}
	types, ok := r.text(k.types)
	if !ok {
		types = compressedTypes
	}
	if c.Types = strings.Fields(strings.ToLower(types)); !on {
		return nil
	}
	return &c
}

// coding is a Compression at work.
type coding struct {
	name  string   // in Content-Encoding
	names []string // in Accept-Encoding
	*Compression
	pool *sync.Pool // of encoders of its level
	make func(level int) encoder
}

// encoder is what the packages of all codings have.
type encoder interface {
	io.WriteCloser
	Flush() error
	Reset(io.Writer)
}

// accepted reads Accept-Encoding. A coding that is named wins over "*".
func (c *coding) accepted(h http.Header) bool {
	accepted, named := false, false
	for _, line := range h["Accept-Encoding"] {
		for item := range strings.SplitSeq(line, ",") {
			coding, parameters, _ := strings.Cut(item, ";")
			coding = strings.ToLower(strings.TrimSpace(coding))
			if !slices.Contains(c.names, coding) && (coding != "*" || named) {
				continue
			}
			named = named || coding != "*"
			accepted = true
			if q, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(parameters)), "q="); ok {
				weight, err := strconv.ParseFloat(q, 64)
				accepted = err == nil && weight > 0
			}
		}
	}
	return accepted
}

// compressWriter decides when the header is sent.
type compressWriter struct {
	http.ResponseWriter
	codings  []coding // in order of preference
	accepted [2]bool  // each of codings; the request changes as it is forwarded
	head     bool
	wrote    bool
	chosen   *coding
	z        encoder // of chosen; nil: the body goes as it is
}

// Unwrap lets http.ResponseController reach the connection.
func (w *compressWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *compressWriter) WriteHeader(code int) {
	if code >= 200 && !w.wrote {
		w.wrote = true
		w.choose(code, w.Header())
	}
	w.ResponseWriter.WriteHeader(code)
}

// choose begins to compress a response in the first coding that it fits and that the client takes.
func (w *compressWriter) choose(code int, h http.Header) {
	varies := false
	for i := range w.codings {
		c := &w.codings[i]
		if !c.fits(code, h) {
			continue
		}
		varies = true
		if w.accepted[i] {
			w.chosen = c
			break
		}
	}
	if varies {
		h.Add("Vary", "Accept-Encoding")
	}
	if w.chosen != nil {
		w.compress(h)
	}
}

// fits reports whether a response is one to compress for those who take it.
func (c *coding) fits(code int, h http.Header) bool {
	if code != http.StatusOK && code != http.StatusForbidden && code != http.StatusNotFound ||
		h.Get("Content-Encoding") != "" || strings.Contains(strings.ToLower(strings.Join(h["Cache-Control"], ",")), "no-transform") {
		return false
	}
	if length, err := strconv.Atoi(h.Get("Content-Length")); err == nil && length < c.MinLength {
		return false
	}
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	media = strings.ToLower(strings.TrimSpace(media))
	return media == "text/html" || slices.Contains(c.Types, "*") || media != "" && slices.Contains(c.Types, media)
}

// compress makes the header that of a compressed body, which is another representation.
func (w *compressWriter) compress(h http.Header) {
	h["Content-Encoding"] = []string{w.chosen.name}
	delete(h, "Content-Length")
	delete(h, "Accept-Ranges")
	if tag := h.Get("Etag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		h["Etag"] = []string{"W/" + tag}
	}
	if w.head {
		return
	}
	z, ok := w.chosen.pool.Get().(encoder)
	if !ok {
		z = w.chosen.make(w.chosen.Level)
	}
	z.Reset(w.ResponseWriter)
	w.z = z
}

func (w *compressWriter) Write(b []byte) (int, error) {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	if w.z == nil {
		return w.ResponseWriter.Write(b)
	}
	return w.z.Write(b)
}

// CanSplice reports whether the body goes as it is, and may be moved by the kernel.
func (w *compressWriter) CanSplice() bool {
	return w.wrote && w.z == nil && http1.CanSplice(w.ResponseWriter)
}

// ReadFrom implements io.ReaderFrom.
func (w *compressWriter) ReadFrom(src io.Reader) (int64, error) {
	if !w.CanSplice() {
		return io.Copy(struct{ io.Writer }{w}, src)
	}
	return io.Copy(w.ResponseWriter, src)
}

// FlushError sends what there is: a stream is not held back by compression.
func (w *compressWriter) FlushError() error {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	if w.z != nil {
		if err := w.z.Flush(); err != nil {
			return err
		}
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// end completes the body. After a panic it is not called, and the client sees that the response
// is not complete.
func (w *compressWriter) end() {
	if w.z == nil {
		return
	}
	if err := w.z.Close(); err != nil {
		panic(http.ErrAbortHandler)
	}
	w.z.Reset(nil)
	w.chosen.pool.Put(w.z)
}

package policy

import (
	"compress/gzip"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/fairlead-ingress/fairlead/proxy/http1"
)

// Gzip compresses responses for clients that take it.
type Gzip struct {
	Level     int // 1 to 9
	MinLength int // of a body whose length is known
	// Types are media types in lower case; text/html is always one of them, and "*" is all.
	Types []string
}

const gzipDefaultTypes = "application/atom+xml application/javascript application/x-javascript application/json application/rss+xml " +
	"application/vnd.ms-fontobject application/x-font-ttf application/x-web-app-manifest+json application/xhtml+xml application/xml " +
	"font/opentype image/svg+xml image/x-icon text/css text/javascript text/plain text/x-component"

var (
	useGzip   = Key{Name: "use-gzip", GlobalOnly: true, Value: "true or false", Default: "false", Doc: "compresses responses with status 200, 403 or 404 for clients that take gzip; Cache-Control: no-transform forbids it"}
	gzipLevel = Key{Name: "gzip-level", GlobalOnly: true, Value: "1 to 9", Default: "1", Doc: "effort of use-gzip"}
	gzipMin   = Key{Name: "gzip-min-length", GlobalOnly: true, Value: "bytes", Default: "256", Doc: "shortest body that use-gzip compresses, if its length is known"}
	gzipTypes = Key{Name: "gzip-types", GlobalOnly: true, Value: "media types, separated by spaces; * for all", Default: "text, JSON, XML, scripts and fonts", Doc: "what use-gzip compresses beside text/html"}
)

var compression = feature{
	name: "gzip",
	keys: []Key{useGzip, gzipLevel, gzipMin, gzipTypes},
	read: func(r *reader, s *Set) {
		on := r.boolean(useGzip, false)
		g := Gzip{Level: r.integer(gzipLevel, 1, 9, 1), MinLength: r.integer(gzipMin, 0, 1<<30, 256)}
		types, ok := r.text(gzipTypes)
		if !ok {
			types = gzipDefaultTypes
		}
		if g.Types = strings.Fields(strings.ToLower(types)); on {
			s.Gzip = &g
		}
	},
	wrap: func(l link, next http.Handler) http.Handler {
		g := l.Gzip
		if g == nil {
			return next
		}
		pool := &l.env.writers[g.Level]
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			z := &gzipWriter{ResponseWriter: w, gzip: g, pool: pool, accepted: r.ProtoAtLeast(1, 1) && acceptsGzip(r.Header), head: r.Method == http.MethodHead}
			next.ServeHTTP(z, r)
			z.end()
		})
	},
}

// acceptsGzip reads Accept-Encoding. A coding that is named wins over "*".
func acceptsGzip(h http.Header) bool {
	accepted, named := false, false
	for _, line := range h["Accept-Encoding"] {
		for item := range strings.SplitSeq(line, ",") {
			coding, parameters, _ := strings.Cut(item, ";")
			coding = strings.ToLower(strings.TrimSpace(coding))
			if coding != "gzip" && coding != "x-gzip" && (coding != "*" || named) {
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

// gzipWriter decides when the header is sent.
type gzipWriter struct {
	http.ResponseWriter
	gzip           *Gzip
	pool           *sync.Pool
	accepted, head bool
	wrote          bool
	z              *gzip.Writer // nil: the body goes as it is
}

// Unwrap lets http.ResponseController reach the connection.
func (w *gzipWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *gzipWriter) WriteHeader(code int) {
	if code >= 200 && !w.wrote {
		w.wrote = true
		if h := w.Header(); w.fits(code, h) {
			h.Add("Vary", "Accept-Encoding")
			if w.accepted {
				w.compress(h)
			}
		}
	}
	w.ResponseWriter.WriteHeader(code)
}

// fits reports whether a response is one to compress for those who take it.
func (w *gzipWriter) fits(code int, h http.Header) bool {
	if code != http.StatusOK && code != http.StatusForbidden && code != http.StatusNotFound ||
		h.Get("Content-Encoding") != "" || strings.Contains(strings.ToLower(strings.Join(h["Cache-Control"], ",")), "no-transform") {
		return false
	}
	if length, err := strconv.Atoi(h.Get("Content-Length")); err == nil && length < w.gzip.MinLength {
		return false
	}
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	media = strings.ToLower(strings.TrimSpace(media))
	return media == "text/html" || slices.Contains(w.gzip.Types, "*") || media != "" && slices.Contains(w.gzip.Types, media)
}

// compress makes the header that of a compressed body, which is another representation.
func (w *gzipWriter) compress(h http.Header) {
	h["Content-Encoding"] = []string{"gzip"}
	delete(h, "Content-Length")
	delete(h, "Accept-Ranges")
	if tag := h.Get("Etag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		h["Etag"] = []string{"W/" + tag}
	}
	if w.head {
		return
	}
	z, ok := w.pool.Get().(*gzip.Writer)
	if !ok {
		z, _ = gzip.NewWriterLevel(nil, w.gzip.Level) // the level is one that there is
	}
	z.Reset(w.ResponseWriter)
	w.z = z
}

func (w *gzipWriter) Write(b []byte) (int, error) {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	if w.z == nil {
		return w.ResponseWriter.Write(b)
	}
	return w.z.Write(b)
}

// CanSplice reports whether the body goes as it is, and may be moved by the kernel.
func (w *gzipWriter) CanSplice() bool {
	return w.wrote && w.z == nil && http1.CanSplice(w.ResponseWriter)
}

// ReadFrom implements io.ReaderFrom.
func (w *gzipWriter) ReadFrom(src io.Reader) (int64, error) {
	if !w.CanSplice() {
		return io.Copy(struct{ io.Writer }{w}, src)
	}
	return io.Copy(w.ResponseWriter, src)
}

// FlushError sends what there is: a stream is not held back by compression.
func (w *gzipWriter) FlushError() error {
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
func (w *gzipWriter) end() {
	if w.z == nil {
		return
	}
	if err := w.z.Close(); err != nil {
		panic(http.ErrAbortHandler)
	}
	w.z.Reset(nil)
	w.pool.Put(w.z)
}

package policy

import (
	"errors"
	"io"
	"net/http"
)

var bodySizeKey = Key{
	Name: "proxy-body-size", Global: true, Value: "size, 0 for no limit", Default: "1m", SpecDefault: "0",
	Doc: "largest request body; a longer one gets 413, also while it is being sent",
}

var bodySize = feature{
	name: "body size",
	keys: []Key{bodySizeKey},
	read: func(r *reader, s *Set) {
		limit, ok := r.size(bodySizeKey)
		if !ok && r.byQuirk(QuirkBodyLimit) {
			limit = 1 << 20
		}
		s.BodySize = limit
	},
	wrap: func(l link, next http.Handler) http.Handler {
		limit := l.BodySize
		if limit == 0 {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.ContentLength > limit:
				if l.Quirks.Has(QuirkBodyLimit) {
					l.depends(QuirkBodyLimit, w, r)
				}
				w.Header().Set("Connection", "close")
				answer(w, r, http.StatusRequestEntityTooLarge, "body-too-large")
				return
			case r.ContentLength < 0:
				r.Body = &limitedBody{ReadCloser: r.Body, left: limit}
			}
			next.ServeHTTP(w, r)
		})
	},
}

// ErrBodyTooLarge is the error of reading a body that is longer than its rule allows. The
// answer is 413, if there is none yet.
var ErrBodyTooLarge = errors.New("the body is longer than proxy-body-size allows")

// limitedBody is a body of unknown length. It gives up at the first byte too many.
type limitedBody struct {
	io.ReadCloser
	left int64
}

func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, ErrBodyTooLarge
	}
	return n, err
}

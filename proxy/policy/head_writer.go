package policy

import (
	"io"
	"net/http"

	"github.com/fairlead-ingress/fairlead/proxy/http1"
)

// headWriter changes the header of the final response just before it is sent, whoever answers. The
// body is not its concern: the kernel may still move it.
type headWriter[C headChange] struct {
	http.ResponseWriter
	change C
	wrote  bool
}

// headChange changes the header of a final response with status code. It is a type parameter, and not
// a field, so that a change and its writer are one allocation.
type headChange interface{ apply(code int, h http.Header) }

func changeHead[C headChange](w http.ResponseWriter, change C) http.ResponseWriter {
	return &headWriter[C]{ResponseWriter: w, change: change}
}

// Unwrap lets http.ResponseController reach the connection.
func (w *headWriter[C]) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *headWriter[C]) WriteHeader(code int) {
	if code >= 200 && !w.wrote {
		w.wrote = true
		w.change.apply(code, w.Header())
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *headWriter[C]) Write(b []byte) (int, error) {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}

// CanSplice is that of the writer below.
func (w *headWriter[C]) CanSplice() bool { return http1.CanSplice(w.ResponseWriter) }

// ReadFrom implements io.ReaderFrom.
func (w *headWriter[C]) ReadFrom(src io.Reader) (int64, error) {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	return io.Copy(w.ResponseWriter, src)
}

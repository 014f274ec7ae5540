package proxy

import (
	"net/http"
	"strconv"
)

// ReasonHeader carries the reason code of an answer that the proxy made itself.
const ReasonHeader = "X-Fairlead-Reason"

// ServeHTTP gives the answer.
func (a Answer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchangeOf(w)
	if x.Reason == "" {
		x.Reason = a.Reason
	}
	h := w.Header()
	if x.pages.answer(w, r, a) {
		return
	}
	body := strconv.Itoa(a.Status) + " " + a.Reason + "\n"
	if x.RequestID != "" {
		body += "request " + x.RequestID + "\n"
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set(ReasonHeader, a.Reason)
	if a.Status == http.StatusMethodNotAllowed {
		h.Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	}
	w.WriteHeader(a.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(body)) // a client that is gone shows in the exchange
	}
}

// fail answers with status and reason, and keeps the error for the log.
func fail(w http.ResponseWriter, r *http.Request, status int, reason string, err error) {
	x := exchangeOf(w)
	x.Err = err
	if x.instead != (Answer{}) {
		x.instead.ServeHTTP(w, r) // what failed is but its page
		return
	}
	Answer{status, reason}.ServeHTTP(w, r)
}

package proxytest

import (
	"fmt"
	"net/http"
)

// Failing answers every request with status, such as 500.
func Failing(name string, status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Backend-Name", name)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		fmt.Fprintf(w, "%s fails with %d, as it always does\n", name, status)
	})
}

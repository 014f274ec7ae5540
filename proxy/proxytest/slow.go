package proxytest

import (
	"net/http"
	"time"
)

// Slow answers as Echo does, but only after delay.
func Slow(name string, delay time.Duration) http.Handler {
	echo := Echo(name)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if wait(r, delay) {
			echo.ServeHTTP(w, r)
		}
	})
}

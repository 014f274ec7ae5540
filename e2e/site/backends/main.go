// Command backends runs, in a Pod, the echo backends of behaviour scripts that are played at a
// cluster. A POST to port 7000 with a site.Order in JSON starts that backend, unless it is there, and
// is answered with its address.
package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/fairlead-ingress/fairlead/e2e/site"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "backends:", err)
		os.Exit(1)
	}
}

func run() error {
	address, err := netip.ParseAddr(os.Getenv("POD_IP"))
	if err != nil {
		return fmt.Errorf("POD_IP: %w", err)
	}
	backends := site.NewBackends(address, nil)
	server := &http.Server{Addr: ":7000", ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			return // it is ready
		}
		var order site.Order
		if err := json.NewDecoder(r.Body).Decode(&order); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		at, err := backends.Start(order.ID, func() (tls.Certificate, error) { return tls.X509KeyPair(order.Certificate, order.Key) })
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = fmt.Fprint(w, at) // a client that left asks again
	})}
	return server.ListenAndServe()
}

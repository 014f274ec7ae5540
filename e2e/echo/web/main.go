// Command web is the backend of the tests with real Pods: it says who it is, and answers as
// e2e/echo does where a request asks for more. After SIGTERM it serves on for $LINGER, a
// duration of Go, then ends like net/http's servers do.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/fairlead-ingress/fairlead/e2e/echo"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "web:", err)
		os.Exit(1)
	}
}

func run() error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	var linger time.Duration
	if text := os.Getenv("LINGER"); text != "" {
		if linger, err = time.ParseDuration(text); err != nil {
			return fmt.Errorf("LINGER: %w", err)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	server := &http.Server{Addr: ":8080", Handler: echo.Backend{Name: name}}
	served := make(chan error, 1)
	go func() { served <- server.ListenAndServe() }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	<-time.After(linger)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return server.Shutdown(ctx)
}

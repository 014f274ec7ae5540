// Command web is the backend of the tests with real Pods: it says who it is, and answers as
// e2e/echo does where a request asks for more. Port 8080 is for HTTP/1.1, port 8081 for gRPC (e2e/echo/chat).
// After SIGTERM it serves on for $LINGER, a duration of Go, then ends like net/http's servers do.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/grpc"

	"github.com/fairlead-ingress/fairlead/e2e/echo"
	"github.com/fairlead-ingress/fairlead/e2e/echo/chat"
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
	calls := grpc.NewServer()
	chat.Register(calls)
	listener, err := net.Listen("tcp", ":8081")
	if err != nil {
		return err
	}
	served := make(chan error, 2)
	go func() { served <- server.ListenAndServe() }()
	go func() { served <- calls.Serve(listener) }()
	defer calls.Stop()
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

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/fairlead-ingress/fairlead/e2e/echo/chat"
)

// between is the time between two messages of a stream.
const between = 250 * time.Millisecond

// openStreams opens streams of each kind and follows them until ctx ends. It returns when each
// has had a message. Without callHost there are none of gRPC.
func (r *recorder) openStreams(ctx context.Context, running *sync.WaitGroup, address, host, callHost string, n int) error {
	kinds := map[string]func(context.Context, chan<- struct{}) error{
		"WebSocket": func(ctx context.Context, m chan<- struct{}) error { return followSocket(ctx, address, host, m) },
		"events over HTTP/1.1": func(ctx context.Context, m chan<- struct{}) error {
			return followEvents(ctx, address, "http://"+host, m)
		},
		"events over HTTP/2": func(ctx context.Context, m chan<- struct{}) error {
			return followEvents(ctx, address, "https://"+host, m)
		},
	}
	if callHost != "" {
		kinds["gRPC"] = func(ctx context.Context, m chan<- struct{}) error { return followCall(ctx, address, callHost, m) }
	}
	for kind, follow := range kinds {
		for range n {
			messages, ended := make(chan struct{}), make(chan error, 1)
			go func() { ended <- follow(ctx, messages) }()
			select {
			case <-messages:
			case err := <-ended:
				return fmt.Errorf("%s to %s: %w", kind, host, err)
			case <-time.After(20 * time.Second):
				return fmt.Errorf("%s to %s: no message", kind, host)
			}
			r.mu.Lock()
			r.report.Streams++
			r.mu.Unlock()
			running.Go(func() { r.follow(ctx, kind, messages, ended) })
		}
	}
	return nil
}

func (r *recorder) follow(ctx context.Context, kind string, messages <-chan struct{}, ended <-chan error) {
	for {
		select {
		case <-messages:
			r.mu.Lock()
			r.report.Messages++
			r.mu.Unlock()
		case err := <-ended:
			if ctx.Err() == nil {
				r.mu.Lock()
				r.report.Closed[fmt.Sprintf("%s: %v", kind, err)]++
				r.mu.Unlock()
			}
			return
		}
	}
}

// followSocket sends messages over a WebSocket and waits for each to come back.
func followSocket(ctx context.Context, address, host string, messages chan<- struct{}) error {
	conn, _, err := websocket.Dial(ctx, "ws://"+host+"/", &websocket.DialOptions{HTTPClient: client(address, false, true)})
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseNow() }()
	tick := time.NewTicker(between)
	defer tick.Stop()
	for {
		echo, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := conn.Write(echo, websocket.MessageText, []byte("message"))
		if err == nil {
			_, _, err = conn.Read(echo)
		}
		cancel()
		if err != nil {
			return err
		}
		messages <- struct{}{}
		<-tick.C
	}
}

// followCall sends messages over a stream of gRPC and waits for each to come back. The connection is
// the stream's own, over TLS.
func followCall(ctx context.Context, address, host string, messages chan<- struct{}) error {
	conn, err := grpc.NewClient("passthrough:///"+host, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(address, "443"))
		}))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := chat.Open(ctx, conn)
	if err != nil {
		return err
	}
	tick := time.NewTicker(between)
	defer tick.Stop()
	for {
		late := time.AfterFunc(10*time.Second, cancel)
		_, err := stream.Echo("message")
		late.Stop()
		if err != nil {
			return err
		}
		messages <- struct{}{}
		<-tick.C
	}
}

// followEvents reads an endless response.
func followEvents(ctx context.Context, address, url string, messages chan<- struct{}) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Echo-Stream", between.String())
	resp, err := client(address, req.URL.Scheme == "https", true).Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	for lines := bufio.NewReader(resp.Body); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			return err
		}
		if line != "\n" {
			messages <- struct{}{}
		}
	}
}

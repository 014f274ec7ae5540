package chat

import (
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func TestEcho(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	Register(server)
	go func() { _ = server.Serve(l) }() // returns at Stop
	defer server.Stop()
	conn, err := grpc.NewClient("passthrough:///"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	s, err := Open(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"one", "two"} {
		if got, err := s.Echo(text); err != nil || got != text {
			t.Errorf("%q came back as %q, %v", text, got, err)
		}
	}
	server.Stop()
	if got, err := s.Echo("three"); err == nil {
		t.Errorf("a message to a server that ended came back: %q", got)
	}
}

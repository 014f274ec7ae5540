// Package chat is a gRPC service with one method, a stream in both directions that sends every
// message back: what a proxy has to keep open.
package chat

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

var stream = grpc.StreamDesc{StreamName: "Chat", Handler: echo, ServerStreams: true, ClientStreams: true}

// Register adds the service to a server.
func Register(s *grpc.Server) {
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "echo.Chat", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{stream}}, struct{}{})
}

func echo(_ any, s grpc.ServerStream) error {
	for {
		var m wrapperspb.StringValue
		if err := s.RecvMsg(&m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := s.SendMsg(&m); err != nil {
			return err
		}
	}
}

// Stream is an open stream of a client.
type Stream struct{ s grpc.ClientStream }

// Open opens a stream that lasts until ctx ends.
func Open(ctx context.Context, conn *grpc.ClientConn) (Stream, error) {
	s, err := conn.NewStream(ctx, &stream, "/echo.Chat/Chat")
	return Stream{s}, err
}

// Echo sends a message and waits until it is back.
func (s Stream) Echo(text string) (string, error) {
	if err := s.s.SendMsg(wrapperspb.String(text)); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	var m wrapperspb.StringValue
	err := s.s.RecvMsg(&m) // says why, where SendMsg only says that the stream ended
	return m.GetValue(), err
}

package proxytest

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// GRPC answers as a gRPC server does whose every method is a stream that returns each message as
// it comes: length-prefixed messages, then trailers. A header "want-status: N" asks for that
// grpc-status at the end; with "want-trailers-only: 1" it comes in the head of a response
// that has no body, as gRPC servers refuse calls.
func GRPC() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 || r.Method != http.MethodPost {
			http.Error(w, fmt.Sprintf("want POST over HTTP/2, got %s over %s", r.Method, r.Proto), http.StatusHTTPVersionNotSupported)
			return
		}
		status := r.Header.Get("want-status")
		if status == "" {
			status = "0"
		}
		h := w.Header()
		h.Set("Content-Type", "application/grpc")
		if r.Header.Get("want-trailers-only") != "" {
			h.Set("Grpc-Status", status)
			return
		}
		c := http.NewResponseController(w)
		c.Flush()
		messages := 0
		for {
			message, err := ReadMessage(r.Body)
			if err == io.EOF {
				break
			}
			if err != nil {
				return // the stream was reset
			}
			messages++
			if WriteMessage(w, message) != nil || c.Flush() != nil {
				return
			}
		}
		h.Set(http.TrailerPrefix+"Grpc-Status", status)
		h.Set(http.TrailerPrefix+"Grpc-Message", strconv.Itoa(messages)+" messages")
	})
}

// WriteMessage writes a gRPC message that is not compressed.
func WriteMessage(w io.Writer, message []byte) error {
	prefixed := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	_, err := w.Write(append(prefixed, message...))
	return err
}

// ReadMessage reads one gRPC message. The error is io.EOF at the end of the stream.
func ReadMessage(r io.Reader) ([]byte, error) {
	var prefix [5]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(prefix[1:])
	if prefix[0] != 0 || n > maxFrame {
		return nil, fmt.Errorf("gRPC message: want at most %d bytes in clear, got %d, compressed=%d", maxFrame, n, prefix[0])
	}
	message := make([]byte, n)
	_, err := io.ReadFull(r, message)
	return message, err
}

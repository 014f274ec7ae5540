package proxytest

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// Opcodes of WebSocket frames (RFC 6455 5.2).
const (
	TextFrame   = 1
	BinaryFrame = 2
	CloseFrame  = 8
	PingFrame   = 9
	PongFrame   = 10
)

// maxFrame limits the payload of a frame that is received.
const maxFrame = 1 << 20

// WebSocket accepts WebSocket connections and sends each message back; a ping is answered, and a
// close frame is returned before the connection ends. Other requests get 426. The first
// subprotocol that is offered is chosen.
func WebSocket(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Backend-Name", name)
		key := r.Header.Get("Sec-WebSocket-Key")
		if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || key == "" || r.ProtoMajor != 1 {
			w.Header().Set("Upgrade", "websocket")
			w.Header().Set("Connection", "Upgrade")
			http.Error(w, "want a WebSocket handshake", http.StatusUpgradeRequired)
			return
		}
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer conn.Close()
		fmt.Fprintf(buffered, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Accept: %s\r\nBackend-Name: %s\r\n", acceptKey(key), name)
		if offered, _, _ := strings.Cut(r.Header.Get("Sec-WebSocket-Protocol"), ","); offered != "" {
			fmt.Fprintf(buffered, "Sec-WebSocket-Protocol: %s\r\n", strings.TrimSpace(offered))
		}
		buffered.WriteString("\r\n")
		if buffered.Flush() != nil {
			return
		}
		ws := &WebSocketConn{conn: conn, r: buffered.Reader}
		for {
			op, payload, err := ws.Read()
			if err != nil {
				return
			}
			if op == PongFrame {
				continue
			}
			if op == PingFrame {
				op = PongFrame
			}
			if ws.Write(op, payload) != nil || op == CloseFrame {
				return
			}
		}
	})
}

// acceptKey is the answer to a Sec-WebSocket-Key (RFC 6455 4.2.2).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// WebSocketConn is one end of a WebSocket connection. One goroutine may read while one writes.
type WebSocketConn struct {
	conn   io.ReadWriteCloser
	r      *bufio.Reader
	client bool // masks what it sends
}

// DialWebSocket connects to address and asks for a WebSocket with the URL's path and Host, and
// header, which may be nil. An error with a response means that it was not 101.
func DialWebSocket(ctx context.Context, address, host, path string, header http.Header) (*WebSocketConn, *http.Response, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, nil, err
	}
	return UpgradeWebSocket(conn, host, path, header)
}

// UpgradeWebSocket asks for a WebSocket over conn, which may be a TLS connection and is owned
// by the result, or closed with an error.
func UpgradeWebSocket(conn net.Conn, host, path string, header http.Header) (*WebSocketConn, *http.Response, error) {
	nonce := make([]byte, 16)
	rand.Read(nonce)
	key := base64.StdEncoding.EncodeToString(nonce)
	var head strings.Builder
	fmt.Fprintf(&head, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n", path, host, key)
	header.Write(&head)
	head.WriteString("\r\n")
	if _, err := io.WriteString(conn, head.String()); err != nil {
		conn.Close()
		return nil, nil, err
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, &http.Request{Method: "GET"})
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		conn.Close()
		return nil, resp, fmt.Errorf("WebSocket handshake: want status 101, got %s", resp.Status)
	}
	if got, want := resp.Header.Get("Sec-WebSocket-Accept"), acceptKey(key); got != want {
		conn.Close()
		return nil, resp, fmt.Errorf("WebSocket handshake: want Sec-WebSocket-Accept %q, got %q", want, got)
	}
	return &WebSocketConn{conn: conn, r: r, client: true}, resp, nil
}

// Write sends one message in one frame.
func (c *WebSocketConn) Write(opcode byte, payload []byte) error {
	const final, masked = 0x80, 0x80
	frame := []byte{final | opcode, 0}
	switch n := len(payload); {
	case n < 126:
		frame[1] = byte(n)
	case n < 1<<16:
		frame[1] = 126
		frame = binary.BigEndian.AppendUint16(frame, uint16(n))
	default:
		frame[1] = 127
		frame = binary.BigEndian.AppendUint64(frame, uint64(n))
	}
	if c.client {
		frame[1] |= masked
		var mask [4]byte
		rand.Read(mask[:])
		frame = append(frame, mask[:]...)
		for i, b := range payload {
			frame = append(frame, b^mask[i%4])
		}
	} else {
		frame = append(frame, payload...)
	}
	_, err := c.conn.Write(frame)
	return err
}

// Read returns the next message, or control frame. The fragments of a message are joined.
func (c *WebSocketConn) Read() (opcode byte, payload []byte, err error) {
	for {
		final, op, part, err := c.frame()
		if err != nil {
			return 0, nil, err
		}
		if op >= CloseFrame {
			return op, part, nil
		}
		if op != 0 {
			opcode = op
		}
		payload = append(payload, part...)
		if final {
			return opcode, payload, nil
		}
	}
}

// Close closes the connection without a close frame.
func (c *WebSocketConn) Close() error { return c.conn.Close() }

func (c *WebSocketConn) frame() (final bool, opcode byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return false, 0, nil, err
	}
	if head[0]&0x70 != 0 {
		return false, 0, nil, errors.New("WebSocket frame: want no extension bits")
	}
	masked, n := head[1]&0x80 != 0, uint64(head[1]&0x7f)
	if masked == c.client {
		return false, 0, nil, fmt.Errorf("WebSocket frame: want masked=%t, got %t", !c.client, masked)
	}
	var long [8]byte
	switch n {
	case 126:
		_, err = io.ReadFull(c.r, long[6:])
		n = binary.BigEndian.Uint64(long[:])
	case 127:
		_, err = io.ReadFull(c.r, long[:])
		n = binary.BigEndian.Uint64(long[:])
	}
	if err != nil {
		return false, 0, nil, err
	}
	if n > maxFrame {
		return false, 0, nil, fmt.Errorf("WebSocket frame: want at most %d bytes, got %d", maxFrame, n)
	}
	var mask [4]byte
	if masked {
		if _, err := io.ReadFull(c.r, mask[:]); err != nil {
			return false, 0, nil, err
		}
	}
	payload = make([]byte, n)
	if _, err := io.ReadFull(c.r, payload); err != nil {
		return false, 0, nil, err
	}
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	return head[0]&0x80 != 0, head[0] & 0x0f, payload, nil
}

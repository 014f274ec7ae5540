package proxytest

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"
)

// Reply is what a Script does for one request on a connection.
type Reply struct {
	// Blind answers without waiting for a request.
	Blind bool
	// Body reads the request's body, not its head alone, before answering.
	Body bool
	// Delay is waited for before answering.
	Delay time.Duration
	// Bytes are sent as they are.
	Bytes string
	// End is what happens to the connection then.
	End End
}

// End is how a connection ends, or that it does not.
type End uint8

// What a reply ends with.
const (
	Stay  End = iota // goes on to the next Reply
	Close            // closes in order
	Reset            // closes with a RST
	Hang             // sends and reads nothing more, until the peer closes
)

// Script is a Backend.Raw that sends the replies in order, on each connection anew. After the
// last one the connection is closed.
func Script(replies ...Reply) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		r := bufio.NewReader(c)
		for _, reply := range replies {
			if !reply.Blind {
				req, err := http.ReadRequest(r)
				if err != nil {
					return
				}
				if reply.Body {
					if _, err := io.Copy(io.Discard, req.Body); err != nil {
						return
					}
				}
			}
			<-time.After(reply.Delay)
			if _, err := c.Write([]byte(reply.Bytes)); err != nil {
				return
			}
			switch reply.End {
			case Close:
				return
			case Reset:
				c.SetLinger(0)
				return
			case Hang:
				io.Copy(io.Discard, r)
				return
			}
		}
	}
}

// Resetting is a Backend.Raw that reads the head of a request, sends the first n bytes of a
// response of 1000 bytes, and resets the connection.
func Resetting(n int) func(*net.TCPConn) {
	response := "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\n"
	body := make([]byte, 1000)
	letters{}.Read(body)
	response += string(body)
	return Script(Reply{Bytes: response[:min(n, len(response))], End: Reset})
}

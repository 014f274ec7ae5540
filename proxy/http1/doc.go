// Package http1 speaks HTTP/1.0 and HTTP/1.1 on connections: a Server that calls an
// http.Handler, and a client for the other side of a proxy.
//
// It differs from net/http in cost and in strictness. One goroutine serves a connection; what
// a request is made of is kept with the connection and used again; no timer is set and no
// goroutine started for a request. And a message that two readers could understand in two
// ways is refused, never repaired: see Reason for the rules.
//
// # What a handler may keep
//
// The http.Request, its URL, Header, Trailer and Body, and the http.ResponseWriter with its
// Header belong to the connection. They are overwritten by the next request, so nothing of
// them may be used after ServeHTTP has returned, by no goroutine. Strings taken from them may
// be kept. So may the request's Context, which is cancelled by then.
//
// # Differences from net/http's server
//
//   - A response may be begun before the request's body is read; EnableFullDuplex is not needed.
//   - No Content-Type is guessed.
//   - A client that closes its sending side while a handler takes long is taken to be gone,
//     as nginx does it: the request's Context is cancelled.
//   - "OPTIONS *" reaches the Handler, and "Pragma: no-cache" adds no Cache-Control.
//   - http.ServerContextKey is not set.
package http1

package policy

// Buffer is what is read before it is passed on. The zero value streams.
type Buffer struct {
	// Request reads the body of a request before the backend gets it.
	Request bool
	// Memory is how many bytes of it are held in memory; what follows is in a file.
	Memory int64
}

var (
	requestBuffering = Key{
		Name: "proxy-request-buffering", Global: true, Value: "on or off", Default: "on", SpecDefault: "off",
		Doc: "reads the body of a request before the backend gets it, so that a slow client does not hold a backend and a retry has the body: in memory, then in a file, " +
			"both within the limits of the instance, beyond which the rest is streamed. gRPC is always streamed",
	}
	bodyBuffer = Key{
		Name: "client-body-buffer-size", Global: true, Value: "size", Default: "64k",
		Doc: "how much of a body proxy-request-buffering holds in memory",
	}
)

const defaultBodyBuffer = 64 << 10

// buffering is no handler: the forwarder does it, when all handlers have let the request pass.
var buffering = feature{
	name: "buffering",
	keys: []Key{requestBuffering, bodyBuffer},
	read: func(r *reader, s *Set) {
		size, ok := r.size(bodyBuffer)
		if !ok {
			size = defaultBodyBuffer
		}
		word := r.oneOf(requestBuffering, "", "on", "off")
		if word == "on" || word == "" && r.byQuirk(QuirkRequestBuffering) {
			s.Buffer = Buffer{Request: true, Memory: size}
		}
	},
}

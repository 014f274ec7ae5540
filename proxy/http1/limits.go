package http1

// Limits of a message, in bytes unless said otherwise. Those of requests are as common servers
// have them: nginx takes 4 x 8 KiB of head, Envoy 100 fields.
const (
	maxRequestHead   = 32 << 10
	maxRequestFields = 100     // fields
	maxTarget        = 8 << 10 // RFC 9110, 4.1 asks for at least 8000
	maxMethod        = 64
	maxLine          = 16 << 10 // one line of a head

	maxChunkLine  = 1 << 10 // size and extensions of a chunk
	maxTrailer    = 4 << 10 // trailer section of a request
	maxChunkWaste = 16 << 10

	maxUnread = 64 << 10 // what of a body nobody read is skipped to keep a connection
)

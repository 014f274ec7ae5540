package proxyproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

const (
	v4 = "\xc0\x00\x02\x07\xc0\x00\x02\x01\x30\x39\x01\xbb" // 192.0.2.7:12345 to 192.0.2.1:443
	v6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07" + "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + "\x30\x39\x01\xbb"
)

// binaryHeader is a header of version 2.
func binaryHeader(command, kind byte, body string) string {
	h := append([]byte(signature2), command, kind)
	h = binary.BigEndian.AppendUint16(h, uint16(len(body)))
	return string(h) + body
}

// summed is a header with the extension that has its checksum, which wrong is added to.
func summed(wrong uint32) string {
	h := []byte(binaryHeader(proxy, tcp4, v4+"\x03\x00\x04\x00\x00\x00\x00"))
	binary.BigEndian.PutUint32(h[len(h)-4:], crc32.Checksum(h, crc32.MakeTable(crc32.Castagnoli))+wrong)
	return string(h)
}

var cases = []struct {
	name, header, want, text string // want: the source, "invalid AddrPort" for none; text: of the error
}{
	{"1 of IPv4", "PROXY TCP4 192.0.2.7 192.0.2.1 12345 443\r\n", "192.0.2.7:12345", ""},
	{"1 of IPv6", "PROXY TCP6 2001:db8::7 2001:db8::1 12345 443\r\n", "[2001:db8::7]:12345", ""},
	{"1 of a mapped address", "PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.1 1 2\r\n", "192.0.2.7:1", ""},
	{"1, the longest", "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", ""},
	{"1, unknown", "PROXY UNKNOWN\r\n", "invalid AddrPort", ""},
	{"1, unknown with more", "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "invalid AddrPort", ""},
	{"1 without CR", "PROXY TCP4 192.0.2.7 192.0.2.1 12345 443\n", "", "CR LF"},
	{"1 with a CR within", "PROXY TCP4 192.0.2.7\r192.0.2.1 12345 443\r\n", "", "within"},
	{"1, too long", "PROXY UNKNOWN " + strings.Repeat("x", 200) + "\r\n", "", "at most 107"},
	{"1 with two spaces", "PROXY TCP4  192.0.2.7 192.0.2.1 12345 443\r\n", "", "want TCP4"},
	{"1 with a space at the end", "PROXY TCP4 192.0.2.7 192.0.2.1 12345 443 \r\n", "", "want TCP4"},
	{"1 of another family", "PROXY TCP4 2001:db8::7 2001:db8::1 12345 443\r\n", "", "address of TCP4"},
	{"1 of another family 2", "PROXY TCP6 192.0.2.7 192.0.2.1 12345 443\r\n", "", "address of TCP6"},
	{"1 with a bad destination", "PROXY TCP4 192.0.2.7 192.0.2.999 12345 443\r\n", "", "192.0.2.999"},
	{"1 with a zone", "PROXY TCP6 fe80::1%eth0 fe80::2 12345 443\r\n", "", "address of TCP6"},
	{"1 with a port that is none", "PROXY TCP4 192.0.2.7 192.0.2.1 65536 443\r\n", "", "want a port"},
	{"1 with a port with zeros", "PROXY TCP4 192.0.2.7 192.0.2.1 0012 443\r\n", "", "want a port"},
	{"1 of UDP", "PROXY UDP4 192.0.2.7 192.0.2.1 12345 443\r\n", "", "want TCP4"},
	{"1 in lower case", "proxy TCP4 192.0.2.7 192.0.2.1 12345 443\r\n", "", "does not begin"},
	{"2 of IPv4", binaryHeader(proxy, tcp4, v4), "192.0.2.7:12345", ""},
	{"2 of IPv6", binaryHeader(proxy, tcp6, v6), "[2001:db8::7]:12345", ""},
	{"2 of the peer itself", binaryHeader(local, unspecified, ""), "invalid AddrPort", ""},
	{"2 of the peer itself, with rubbish", binaryHeader(local, tcp4, "rubbish"), "invalid AddrPort", ""},
	{"2 of no family", binaryHeader(proxy, unspecified, "xxx"), "invalid AddrPort", ""},
	{"2 of a Unix socket", binaryHeader(proxy, unixStream, strings.Repeat("x", 216)), "invalid AddrPort", ""},
	{"2 with an extension", binaryHeader(proxy, tcp4, v4+"\x02\x00\x03a.b"), "192.0.2.7:12345", ""},
	{"2 with a checksum", summed(0), "192.0.2.7:12345", ""},
	{"2 with a wrong checksum", summed(1), "", "checksum"},
	{"2 with a short checksum", binaryHeader(proxy, tcp4, v4+"\x03\x00\x01x"), "", "checksum of 1"},
	{"2 with an extension that is cut off", binaryHeader(proxy, tcp4, v4+"\x02\x00\x09a.b"), "", "cut off"},
	{"2 with half an extension", binaryHeader(proxy, tcp4, v4+"\x02\x00"), "", "cut off"},
	{"2 with too few addresses", binaryHeader(proxy, tcp4, v4[:11]), "", "want 12"},
	{"2 with too few addresses of IPv6", binaryHeader(proxy, tcp6, v4), "", "want 36"},
	{"2 of UDP", binaryHeader(proxy, 0x12, v4), "", "0x12"},
	{"2 with another version", binaryHeader(0x11, tcp4, v4), "", "0x11"},
	{"2 with another command", binaryHeader(0x22, tcp4, v4), "", "0x22"},
	{"2, too long", binaryHeader(proxy, tcp4, v4+strings.Repeat("x", maxBody)), "", "at most"},
	{"HTTP", "GET / HTTP/1.1\r\n", "", "does not begin"},
	{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "", "does not begin"},
	{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03xxxxxxxx", "", "does not begin"},
	{"cut off", "PROXY TC", "", "unexpected EOF"},
	{"cut off 2", binaryHeader(proxy, tcp4, v4)[:20], "", "unexpected EOF"},
	{"nothing", "", "", "EOF"},
}

func TestRead(t *testing.T) {
	for _, tt := range cases {
		for how, slow := range map[string]func(io.Reader) io.Reader{
			"at once": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "with the end": iotest.DataErrReader,
		} {
			rest := strings.NewReader(tt.header + "rest")
			if strings.HasPrefix(tt.name, "cut off") || tt.name == "nothing" {
				rest = strings.NewReader(tt.header)
			}
			got, err := Read(slow(rest))
			switch {
			case tt.text != "":
				if err == nil || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("%s, %s: %v and error %v, want one with %q", tt.name, how, got, err, tt.text)
				}
			case err != nil || got.Source.String() != tt.want || got.Source.IsValid() != got.Destination.IsValid():
				t.Errorf("%s, %s: %v, %v, want %s", tt.name, how, got, err, tt.want)
			case how == "byte by byte":
				if left, _ := io.ReadAll(rest); string(left) != "rest" {
					t.Errorf("%s: left %q, want what follows the header", tt.name, left)
				}
			}
		}
	}
}

// TestNoHeaderIsSeenAtOnce: a client that waits for an answer is not waited for.
func TestNoHeaderIsSeenAtOnce(t *testing.T) {
	r, w := io.Pipe()
	go func() { _, _ = w.Write([]byte("\x16")) }()
	if _, err := Read(r); !errors.Is(err, ErrNoHeader) {
		t.Errorf("error %v, want ErrNoHeader", err)
	}
}

func FuzzRead(f *testing.F) {
	for _, tt := range cases {
		f.Add([]byte(tt.header))
	}
	f.Fuzz(func(t *testing.T, header []byte) {
		at := bytes.NewReader(header)
		got, err := Read(at)
		used := len(header) - at.Len()
		switch {
		case used > 16+maxBody:
			t.Errorf("%d bytes read", used)
		case err != nil && got != (Addresses{}):
			t.Errorf("%v with error %v", got, err)
		case err == nil && (used < shortest || string(header[:6]) != signature1 && string(header[:12]) != signature2):
			t.Errorf("%q is taken for a header", header[:used])
		}
		if err == nil { // more that follows changes nothing
			again, err := Read(bytes.NewReader(append(bytes.Clone(header[:used]), "more"...)))
			if err != nil || again != got {
				t.Errorf("%v, then %v and %v", got, again, err)
			}
		}
	})
}

// TestDestination is where the client connected to.
func TestDestination(t *testing.T) {
	for header, want := range map[string]string{
		"PROXY TCP4 192.0.2.7 192.0.2.1 12345 443\r\n": "192.0.2.1:443", binaryHeader(proxy, tcp4, v4): "192.0.2.1:443", binaryHeader(proxy, tcp6, v6): "[2001:db8::1]:443",
	} {
		if got, err := Read(strings.NewReader(header)); err != nil || got.Destination.String() != want {
			t.Errorf("%q: %v, %v, want %s", header, got.Destination, err, want)
		}
	}
}

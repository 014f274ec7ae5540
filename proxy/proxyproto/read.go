// Package proxyproto reads the header of the PROXY protocol, by which a load balancer tells the
// address of its client, of version 1 and 2
// (https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt).
package proxyproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

const (
	signature1 = "PROXY "
	signature2 = "\r\n\r\n\x00\r\nQUIT\n"
	// shortest is the length of the shortest header.
	shortest = len(Own)
	// maxLine is that of the longest line of version 1, with its line end.
	maxLine = 107
	// maxBody bounds what follows the 16 bytes of a header of version 2. Addresses take 216 at
	// most; the rest is extensions, such as the subject of a client certificate.
	maxBody = 4096
)

// Own is the header of a connection that the peer makes for itself, and for no client.
const Own = "PROXY UNKNOWN\r\n"

// ErrNoHeader says that the connection begins with something else.
var ErrNoHeader = errors.New("the connection does not begin with a PROXY header")

// Addresses are those of a client's connection, as a header tells them: where it comes from, and
// where it went to. The zero value is that the connection is the peer's own, or of a kind without IP addresses.
type Addresses struct{ Source, Destination netip.AddrPort }

// Read reads a header and not a byte more. The error is io.EOF where nothing came at all, as of a
// health check.
func Read(r io.Reader) (Addresses, error) {
	var head [shortest]byte
	if err := readHead(r, head[:]); err != nil {
		return Addresses{}, err
	}
	if head[0] == signature1[0] {
		return readLine(r, head[:])
	}
	return readBinary(r, head[:])
}

// readHead fills head, and gives up as soon as it can be no header: who speaks another protocol
// may wait for an answer.
func readHead(r io.Reader, head []byte) error {
	for n := 0; n < len(head); {
		m, err := r.Read(head[n:])
		n += m
		if k := min(n, len(signature1)); string(head[:k]) != signature1[:k] {
			if k := min(n, len(signature2)); string(head[:k]) != signature2[:k] {
				return ErrNoHeader
			}
		}
		if err == io.EOF && n == 0 {
			return io.EOF
		}
		if err != nil && n < len(head) {
			return ended(err, n)
		}
	}
	return nil
}

// ended is the error of a header that ends early.
func ended(err error, after int) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("PROXY header: after %d bytes: %w", after, err)
}

// readLine reads the rest of a header of version 1. Byte by byte, as what follows the line is not
// ours to read.
func readLine(r io.Reader, head []byte) (Addresses, error) {
	var line [maxLine]byte
	n := copy(line[:], head)
	for !bytes.HasSuffix(line[:n], []byte("\r\n")) {
		if n == len(line) || line[n-1] == '\n' {
			return Addresses{}, fmt.Errorf("PROXY header: want a line of at most %d bytes that ends with CR LF", maxLine)
		}
		m, err := r.Read(line[n : n+1])
		if n += m; err != nil && m == 0 {
			return Addresses{}, ended(err, n)
		}
	}
	if bytes.ContainsAny(line[:n-2], "\r\n") {
		return Addresses{}, errors.New("PROXY header: a line end within the line")
	}
	fields := strings.Split(string(line[len(signature1):n-2]), " ")
	if fields[0] == "UNKNOWN" {
		return Addresses{}, nil
	}
	if len(fields) != 5 || fields[0] != "TCP4" && fields[0] != "TCP6" {
		return Addresses{}, fmt.Errorf("PROXY header: want TCP4, TCP6 or UNKNOWN, two addresses and two ports, got %q", line[:n-2])
	}
	var a Addresses
	var err error
	if a.Source, err = parseAddrPort(fields[0], fields[1], fields[3]); err == nil {
		a.Destination, err = parseAddrPort(fields[0], fields[2], fields[4])
	}
	if err != nil {
		return Addresses{}, err
	}
	return a, nil
}

func parseAddrPort(family, address, port string) (netip.AddrPort, error) {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Zone() != "" || a.Is4() != (family == "TCP4") {
		return netip.AddrPort{}, fmt.Errorf("PROXY header: want an address of %s, got %q", family, address)
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strconv.FormatUint(p, 10) != port {
		return netip.AddrPort{}, fmt.Errorf("PROXY header: want a port, got %q", port)
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(p)), nil
}

// The commands, and the families and transports, of version 2.
const (
	local = 0x20
	proxy = 0x21

	unspecified = 0x00
	tcp4        = 0x11
	tcp6        = 0x21
	unixStream  = 0x31
)

// readBinary reads the rest of a header of version 2.
func readBinary(r io.Reader, head []byte) (Addresses, error) {
	header := append(make([]byte, 0, 64), head...)
	header = append(header, 0)
	if _, err := io.ReadFull(r, header[shortest:]); err != nil {
		return Addresses{}, ended(err, shortest)
	}
	command, kind, length := header[12], header[13], int(binary.BigEndian.Uint16(header[14:16]))
	if length > maxBody {
		return Addresses{}, fmt.Errorf("PROXY header: %d bytes, want at most %d", length, maxBody)
	}
	header = append(header, make([]byte, length)...)
	if n, err := io.ReadFull(r, header[16:]); err != nil {
		return Addresses{}, ended(err, 16+n)
	}
	body, addresses := header[16:], 0
	switch kind {
	case tcp4:
		addresses = 12
	case tcp6:
		addresses = 36
	case unixStream:
		addresses = 216
	}
	switch {
	case command == local:
		return Addresses{}, nil
	case command != proxy:
		return Addresses{}, fmt.Errorf("PROXY header: version and command %#x, want 0x20 or 0x21", command)
	case kind == unspecified:
		return Addresses{}, nil
	case addresses == 0:
		return Addresses{}, fmt.Errorf("PROXY header: family and transport %#x are not of a TCP connection", kind)
	case len(body) < addresses:
		return Addresses{}, fmt.Errorf("PROXY header: %d bytes for two addresses, want %d", len(body), addresses)
	}
	if err := checkExtensions(header, 16+addresses); err != nil {
		return Addresses{}, err
	}
	switch kind {
	case tcp4:
		return Addresses{
			netip.AddrPortFrom(netip.AddrFrom4([4]byte(body[:4])), binary.BigEndian.Uint16(body[8:])),
			netip.AddrPortFrom(netip.AddrFrom4([4]byte(body[4:8])), binary.BigEndian.Uint16(body[10:])),
		}, nil
	case tcp6:
		return Addresses{
			netip.AddrPortFrom(netip.AddrFrom16([16]byte(body[:16])).Unmap(), binary.BigEndian.Uint16(body[32:])),
			netip.AddrPortFrom(netip.AddrFrom16([16]byte(body[16:32])).Unmap(), binary.BigEndian.Uint16(body[34:])),
		}, nil
	}
	return Addresses{}, nil // of a Unix socket
}

// extensionCRC32C is the type of the extension with the checksum of the header.
const extensionCRC32C = 0x03

// checkExtensions walks the extensions, which begin at from, and verifies the checksum.
func checkExtensions(header []byte, from int) error {
	for at := from; at < len(header); {
		if len(header)-at < 3 {
			return errors.New("PROXY header: an extension is cut off")
		}
		kind, length := header[at], int(binary.BigEndian.Uint16(header[at+1:]))
		at += 3
		if length > len(header)-at {
			return fmt.Errorf("PROXY header: extension %#x of %d bytes is cut off", kind, length)
		}
		if kind == extensionCRC32C {
			if length != 4 {
				return fmt.Errorf("PROXY header: a checksum of %d bytes, want 4", length)
			}
			want := binary.BigEndian.Uint32(header[at:])
			sum := bytes.Clone(header)
			clear(sum[at : at+4])
			if got := crc32.Checksum(sum, crc32.MakeTable(crc32.Castagnoli)); got != want {
				return fmt.Errorf("PROXY header: its checksum is %08x, and it comes to %08x", want, got)
			}
		}
		at += length
	}
	return nil
}

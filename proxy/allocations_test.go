//go:build !race

package proxy_test

import (
	"bytes"
	"net"
	"net/netip"
	"testing"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/observe"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
)

// maxAllocations is what a proxied request may cost: the text of either head, and its identity.
const maxAllocations = 3

// TestAllocationsOfARequest proxies over real sockets, with connections kept on both sides and
// metrics on. Client and backend allocate nothing.
func TestAllocationsOfARequest(t *testing.T) {
	backend := cannedBackend(t, []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nDate: Sat, 01 Jan 2000 00:00:00 GMT\r\n\r\nok"))
	pools := upstream.NewRegistry(upstream.Options{AllowLocal: true})
	defer pools.Close()
	key := upstream.Key{Namespace: "default", Service: "web", Port: "80"}
	pools.Pool(key).Set(upstream.Resolution{Addresses: []upstream.Address{{Host: backend.Addr().String(), Port: backend.Port()}}})
	p := proxy.New(pools)
	p.Observer = observe.NewMetrics(observe.Options{Table: p.Table})
	table, _ := p.Compile(proxy.Config{Hosts: proxy.ByHost([]*proxy.Rule{{
		Host: "example.com", Path: "/", PathType: router.Prefix, Backend: key,
		Origin: router.Origin{Namespace: "default", Name: "web"},
	}})})
	p.Swap(table)
	server := &proxy.Server{Proxy: p, HTTPAddress: "127.0.0.1:0", ShutdownDelay: -1, Engine: proxy.HTTP1}
	if err := server.Listen(); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	defer func() {
		server.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()

	client, err := net.Dial("tcp", server.Addresses()["http"].String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	request := []byte("GET /path?query=1 HTTP/1.1\r\nHost: example.com\r\nUser-Agent: test\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nCookie: a=b\r\n\r\n")
	buf := make([]byte, 4096)
	once := func() {
		if _, err := client.Write(request); err != nil {
			t.Fatal(err)
		}
		n := 0
		for !bytes.HasSuffix(buf[:n], []byte("\r\n\r\nok")) {
			m, err := client.Read(buf[n:])
			if err != nil {
				t.Fatalf("%v after %q", err, buf[:n])
			}
			n += m
		}
		if !bytes.HasPrefix(buf[:n], []byte("HTTP/1.1 200 ")) {
			t.Fatalf("got %q", buf[:n])
		}
	}
	if got := testing.AllocsPerRun(2000, once); got > maxAllocations {
		t.Errorf("%.1f allocations a request, want at most %d", got, maxAllocations)
	}
}

// cannedBackend answers every head with the same bytes.
func cannedBackend(t *testing.T, response []byte) netip.AddrPort {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf, n := make([]byte, 8192), 0
				for {
					m, err := c.Read(buf[n:])
					if err != nil {
						return
					}
					if n += m; !bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
						continue
					}
					n = 0
					if _, err := c.Write(response); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

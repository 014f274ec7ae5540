package main

import (
	"fmt"
	"os"
	"strings"
)

// haproxySubject is HAProxy.
func haproxySubject() subject {
	return subject{name: "haproxy", program: "haproxy", launch: func(at place, r Row, log *os.File) (*proxy, error) {
		addresses, err := freeAddresses(2)
		if err != nil {
			return nil, err
		}
		p := &proxy{http: addresses[0], https: addresses[1]}
		pem, err := writeFile(at.dir, "tls.pem", string(at.cert)+string(at.key))
		if err != nil {
			return nil, err
		}
		var b strings.Builder
		fmt.Fprintf(&b, "global\n  nbthread %d\n  maxconn 9000\n", at.threads)
		b.WriteString("  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256\n  ssl-default-bind-options ssl-min-ver TLSv1.3\n")
		if r.Log {
			b.WriteString("  log stdout format raw local0\n")
		}
		b.WriteString("defaults\n  mode http\n  http-reuse always\n  option forwardfor\n")
		for _, t := range []string{"client", "server", "http-keep-alive", "http-request", "connect"} {
			fmt.Fprintf(&b, "  timeout %s 300s\n", t)
		}
		if r.Log {
			b.WriteString("  log global\n  option httplog\n  option dontlognull\n")
		}
		fmt.Fprintf(&b, `frontend in
  bind %s backlog 4096
  bind %s backlog 4096 ssl crt %s
  http-request set-header X-Forwarded-Proto http unless { ssl_fc }
  http-request set-header X-Forwarded-Proto https if { ssl_fc }
  http-request set-header X-Forwarded-Host %%[req.hdr(host)]
  http-request set-header X-Forwarded-Port %%[dst_port]
  http-request set-header X-Real-IP %%[src]
  http-request set-header X-Request-ID %%[uuid]
`, p.http, p.https, pem)
		if err := haproxyRoutes(&b, at.dir, r); err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "backend app\n  server app 127.0.0.1:%d pool-max-conn %d pool-purge-delay 300s\n", at.backendPort, idleUpstream)
		file, err := writeFile(at.dir, "haproxy.cfg", b.String())
		if err != nil {
			return nil, err
		}
		p.process, err = command{
			name: "haproxy", dir: at.dir, cpus: at.cpus, stdout: log,
			argv: []string{"haproxy", "-db", "-f", file},
		}.start()
		if err != nil {
			return nil, err
		}
		return ready(p, listening(p.http, p.https))
	}}
}

// haproxyRoutes writes the choice of the backend: by host, and by a map of host and prefix
// when there are many.
func haproxyRoutes(b *strings.Builder, dir string, r Row) error {
	if !r.many() {
		b.WriteString("  use_backend app if { req.hdr(host),host_only -i localhost }\n")
		return nil
	}
	var routes strings.Builder
	for i := range r.Routes {
		fmt.Fprintf(&routes, "%s%s app\n", routeHost(i), routePath(i))
	}
	file, err := writeFile(dir, "routes.map", routes.String())
	if err != nil {
		return err
	}
	fmt.Fprintf(b, `  http-request set-var-fmt(txn.route) "%%[req.hdr(host),host_only,lower]%%[path]"
  use_backend %%[var(txn.route),map_beg(%s)]
`, file)
	return nil
}

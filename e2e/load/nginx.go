package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// nginxSubject is nginx as a reverse proxy.
func nginxSubject() subject {
	return subject{name: "nginx", program: "nginx", launch: func(at place, r Row, log *os.File) (*proxy, error) {
		addresses, err := freeAddresses(2)
		if err != nil {
			return nil, err
		}
		p := &proxy{http: addresses[0], https: addresses[1]}
		cert, err := writeFile(at.dir, "tls.crt", string(at.cert))
		if err != nil {
			return nil, err
		}
		key, err := writeFile(at.dir, "tls.key", string(at.key))
		if err != nil {
			return nil, err
		}
		access := "off"
		if r.Log {
			access = log.Name() + " combined"
		}
		var b strings.Builder
		nginxHead(&b, at.dir, at.threads, access)
		fmt.Fprintf(&b, `
upstream app {
  server 127.0.0.1:%d max_fails=0;
  keepalive %d;
  keepalive_requests 1000000000;
  keepalive_timeout 300s;
}
proxy_http_version 1.1;
proxy_set_header Connection "";
proxy_set_header Host $http_host;
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
proxy_set_header X-Forwarded-Proto $scheme;
proxy_set_header X-Forwarded-Host $http_host;
proxy_set_header X-Forwarded-Port $server_port;
proxy_set_header X-Real-IP $remote_addr;
proxy_set_header X-Request-ID $request_id;
proxy_max_temp_file_size 0;  # bodies stay in memory, as with the others
server_names_hash_max_size 65536;
server_names_hash_bucket_size 128;
ssl_certificate %s;
ssl_certificate_key %s;
ssl_protocols TLSv1.3;
ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
server {
  listen %s backlog=4096 default_server;
  listen %s backlog=4096 default_server ssl;
  return 404;
}
`, at.backendPort, idleUpstream, cert, key, p.http, p.https)
		nginxServers(&b, p, r)
		b.WriteString("}\n")
		if p.process, err = startNginx("nginx", at.dir, at.cpus, b.String()); err != nil {
			return nil, err
		}
		return ready(p, listening(p.http, p.https))
	}}
}

// nginxServers writes a server for each host, with a location for each of its routes.
func nginxServers(b *strings.Builder, p *proxy, r Row) {
	listen := fmt.Sprintf("  listen %s;\n  listen %s ssl;\n", p.http, p.https)
	if !r.many() {
		fmt.Fprintf(b, "server {\n%s  server_name localhost;\n  location / { proxy_pass http://app; }\n}\n", listen)
		return
	}
	for i := 0; i < r.Routes; i += pathsPerHost {
		fmt.Fprintf(b, "server {\n%s  server_name %s;\n", listen, routeHost(i))
		for j := i; j < i+pathsPerHost; j++ {
			fmt.Fprintf(b, "  location %s { proxy_pass http://app; }\n", routePath(j))
		}
		b.WriteString("}\n")
	}
}

// nginxHead begins a configuration; its last block is left open.
func nginxHead(b *strings.Builder, dir string, workers int, access string) {
	if os.Geteuid() == 0 {
		b.WriteString("user root;\n") // a worker of another user could not read dir
	}
	fmt.Fprintf(b, `worker_processes %d;
daemon off;
error_log stderr warn;
pid %s/nginx.pid;
worker_rlimit_nofile 20000;
events { worker_connections 9000; }
http {
access_log %s;
default_type text/plain;
keepalive_requests 1000000000;
keepalive_timeout 300s;
sendfile on;
tcp_nopush on;
`, workers, dir, access)
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(b, "%s_temp_path %s/%s;\n", kind, dir, kind)
	}
}

func startNginx(name, dir, cpus, config string) (*process, error) {
	file, err := writeFile(dir, name+".conf", config)
	if err != nil {
		return nil, err
	}
	return command{name: name, dir: dir, cpus: cpus, argv: []string{"nginx", "-e", "stderr", "-p", dir, "-c", file}}.start()
}

// backend is an nginx that answers every request with a body that depends on the port, and
// /headers with the fields that it got.
type backend struct {
	*process
	ports map[int]int // by size of body
}

// seenHeaders are the fields that a proxy adds, as /headers shows them, a line for each.
var seenHeaders = []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Real-IP", "X-Request-ID", "Host", "Connection"}

func startBackend(dir, cpus string) (*backend, error) {
	addresses, err := freeAddresses(len(sizes))
	if err != nil {
		return nil, err
	}
	bk := &backend{ports: map[int]int{}}
	var b strings.Builder
	nginxHead(&b, dir, 1, "off")
	b.WriteString("open_file_cache max=16;\n")
	for i, size := range sizes {
		_, port, err := net.SplitHostPort(addresses[i])
		if err != nil {
			return nil, err
		}
		if bk.ports[size.bytes], err = strconv.Atoi(port); err != nil {
			return nil, err
		}
		serve, err := fixedBody(dir, size.bytes)
		if err != nil {
			return nil, err
		}
		var lines strings.Builder
		for _, h := range seenHeaders {
			fmt.Fprintf(&lines, "%s: $http_%s\n", h, strings.ToLower(strings.ReplaceAll(h, "-", "_")))
		}
		fmt.Fprintf(&b, "server {\n  listen %[1]s backlog=4096;\n  location = /headers { return 200 %[2]q; }\n  location = /p0/headers { return 200 %[2]q; }\n  location / { %[3]s }\n}\n", addresses[i], lines.String(), serve)
	}
	b.WriteString("}\n")
	if bk.process, err = startNginx("backend", dir, cpus, b.String()); err != nil {
		return nil, err
	}
	if err := bk.await(startTime, listening(addresses...)); err != nil {
		bk.stop()
		return nil, err
	}
	return bk, nil
}

// fixedBody returns the directives that answer with n bytes: from the configuration, or,
// from 64 KiB, from a file.
func fixedBody(dir string, n int) (string, error) {
	if n >= 64<<10 {
		name := fmt.Sprintf("body-%d", n)
		if _, err := writeFile(dir, name, strings.Repeat("x", n)); err != nil {
			return "", err
		}
		return fmt.Sprintf("root %s; rewrite ^ /%s break;", filepath.Clean(dir), name), nil
	}
	// A word of a configuration has less than 4 KiB.
	const word = 1 << 10
	if n <= word {
		return fmt.Sprintf("return 200 %q;", strings.Repeat("x", n)), nil
	}
	return fmt.Sprintf("set $kib %q; return 200 %q;", strings.Repeat("x", word), strings.Repeat("$kib", n/word)), nil
}

package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

//go:embed demo/*.yaml
var demoFiles embed.FS

func demoCommand() *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run everything on this machine, with sample backends and no cluster",
		Long: `Run everything on the loopback interface: sample backends, manifests in a temporary
directory, HTTP and HTTPS. It prints curl lines to try. Edit the manifests while it runs.
Ctrl-C ends it and removes what it made.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return demo(c.Context(), o, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	c.Flags().StringVar(&o.httpAddress, "http-address", "", "`host:port` for HTTP (default 127.0.0.1:8080, or a free port)")
	c.Flags().StringVar(&o.httpsAddress, "https-address", "", "`host:port` for HTTPS (default 127.0.0.1:8443, or a free port)")
	c.Flags().StringVar(&o.adminAddress, "admin-address", "", "`host:port` for health, metrics and debugging (default 127.0.0.1:10254, or a free port)")
	c.Flags().StringVar(&o.accessLog, "access-log", "off", "`format` of the access log on standard output: json, nginx or off")
	c.Flags().StringVar(&o.logLevel, "log-level", "warn", "`level` of the log on standard error: debug, info, warn or error")
	return c
}

// demoBackends are the endpoints of each Service of the demo.
func demoBackends() map[string][]*proxytest.Backend {
	one := func(h http.Handler) []*proxytest.Backend { return []*proxytest.Backend{{Handler: h}} }
	return map[string][]*proxytest.Backend{
		"web":     {{Handler: proxytest.Echo("web-1")}, {Handler: proxytest.Echo("web-2")}, {Handler: proxytest.Echo("web-3")}},
		"api":     one(proxytest.Echo("api-1")),
		"slow":    one(proxytest.Slow("slow-1", 2*time.Second)),
		"failing": one(proxytest.Failing("failing-1", http.StatusInternalServerError)),
		"chat":    one(proxytest.WebSocket("chat-1")),
	}
}

func demo(ctx context.Context, o options, stdout, stderr io.Writer) (err error) {
	o.httpAddress = orFree(o.httpAddress, "127.0.0.1:8080")
	o.httpsAddress = orFree(o.httpsAddress, "127.0.0.1:8443")
	o.adminAddress = orFree(o.adminAddress, "127.0.0.1:10254")
	o.electionTTL, o.drainTimeout = 15*time.Second, 5*time.Second
	o.ingressClass, o.updateStatus = "fairlead", false

	dir, err := os.MkdirTemp("", "fairlead-demo-")
	if err != nil {
		return fmt.Errorf("manifests: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	o.manifests = dir
	s, err := o.check()
	if err != nil {
		return err
	}
	backends := demoBackends()
	for _, endpoints := range backends {
		for _, b := range endpoints {
			if err := b.Listen(); err != nil {
				return err
			}
			defer b.Close()
		}
	}
	if err := writeDemo(dir, backends); err != nil {
		return fmt.Errorf("manifests: %w", err)
	}
	in, err := newInstance(s, newLogger(stderr, s.level), stdout)
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	go func() {
		select {
		case <-in.firstTable:
			addresses := in.addresses()
			printDemo(stdout, dir, addresses["http"], addresses["https"], addresses["admin"])
		case <-ctx.Done():
		}
	}()
	return in.run(ctx)
}

// orFree is address, else wanted, else a free port where that is taken.
func orFree(address, wanted string) string {
	if address != "" {
		return address
	}
	l, err := net.Listen("tcp", wanted)
	if errors.Is(err, syscall.EADDRINUSE) {
		return "127.0.0.1:0"
	}
	if err == nil {
		_ = l.Close()
	}
	return wanted
}

// writeDemo writes the manifests, and the certificate of their TLS host for curl.
func writeDemo(dir string, backends map[string][]*proxytest.Backend) error {
	files := make(map[string]string)
	names, err := demoFiles.ReadDir("demo")
	if err != nil {
		return err
	}
	for _, entry := range names {
		content, err := demoFiles.ReadFile("demo/" + entry.Name())
		if err != nil {
			return err
		}
		files[entry.Name()] = string(content)
	}
	var endpoints strings.Builder
	endpoints.WriteString("# Where the sample backends listen, as the control plane of a cluster would write it.\n")
	for _, service := range slices.Sorted(maps.Keys(backends)) {
		for i, b := range backends[service] {
			fmt.Fprintf(&endpoints, `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: %s-%d
  namespace: demo
  labels: {kubernetes.io/service-name: %s}
addressType: IPv4
ports: [{name: http, port: %d}]
endpoints: [{addresses: [%s]}]
`, service, i+1, service, b.Addr().Port(), b.Addr().Addr())
		}
	}
	files["endpoints.yaml"] = endpoints.String()
	certPEM, keyPEM, err := demoCertificate("shop.example")
	if err != nil {
		return err
	}
	files["tls.yaml"] = "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\nmetadata: {name: shop-tls, namespace: demo}\nstringData:\n" +
		"  tls.crt: |\n" + indent(certPEM) + "  tls.key: |\n" + indent(keyPEM)
	files["shop.crt"] = string(certPEM)
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func indent(pem []byte) string {
	return "    " + strings.ReplaceAll(strings.TrimSpace(string(pem)), "\n", "\n    ") + "\n"
}

func printDemo(w io.Writer, dir string, httpAddr, httpsAddr, adminAddr net.Addr) {
	_, httpsPort, _ := net.SplitHostPort(httpsAddr.String()) // is host:port
	resolve := fmt.Sprintf("--resolve shop.example:%s:127.0.0.1 --cacert %s", httpsPort, filepath.Join(dir, "shop.crt"))
	fmt.Fprintf(w, `Fairlead serves the manifests in %[1]s

Try, in another terminal:
  curl -H 'Host: shop.example' http://%[2]s/            # the Service web: repeat it to see three endpoints
  curl -H 'Host: shop.example' http://%[2]s/api/items   # the Service api
  curl -H 'Host: shop.example' http://%[2]s/slow        # answers after two seconds
  curl -H 'Host: shop.example' http://%[2]s/failing     # always answers 500
  curl %[4]s https://shop.example:%[5]s/   # HTTPS, and HTTP/2
  curl -H 'Host: nowhere.example' http://%[2]s/         # 404: no rule for this host
  curl -H 'Host: forgotten.example' http://%[2]s/       # 503: its Service does not exist
A WebSocket echo, over HTTP/1.1:
  curl --max-time 2 --http1.1 -i -N -H 'Host: shop.example' -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==' http://%[2]s/chat

What is served, and what is wrong, in a browser: http://%[3]s/
or here:
  curl http://%[3]s/debug/table
  curl http://%[3]s/debug/problems
  curl http://%[3]s/metrics

Change %[6]s and look again. Ctrl-C ends the demo.
`, dir, httpAddr, adminAddr, resolve, httpsPort, filepath.Join(dir, "ingress.yaml"))
}

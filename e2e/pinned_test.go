package e2e_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/fairlead-ingress/fairlead/e2e/site"
)

// R5: a connection that stays for long keeps the table that it came by no longer than its request was
// routed. A WebSocket is opened with each of many tables, in which every route is another than in
// the one before; if each kept its table, memory would be a multiple of what it is.
func TestTunnelsKeepNoTable(t *testing.T) {
	const routes = 400
	tables := 40
	if testing.Short() {
		tables = 12
	}
	objects := func(round int) []byte {
		var b strings.Builder
		b.WriteString(service("web", "web-1"))
		for i := range routes {
			fmt.Fprintf(&b, `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: r%[1]d}
spec:
  rules: [{host: r%[1]d.example, http: {paths: [
    {path: /round%[2]d, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}},
    {path: /round%[2]d/a, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}},
    {path: /round%[2]d/b, pathType: Exact, backend: {service: {name: web, port: {number: 80}}}}]}}]
`, i, round)
		}
		return []byte(b.String())
	}
	at, err := site.Start(site.Options{Binary: binary, Dir: t.TempDir(), Flags: []string{"--access-log=off", "--profiling"}, Files: map[string][]byte{"all.yaml": objects(0)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := at.Stop(); err != nil {
			t.Error(err)
		}
	})
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, at.Address("http"))
	}}}
	var tunnels []*websocket.Conn
	open := func(round int) {
		url := fmt.Sprintf("ws://r%d.example/round%d", round, round)
		for deadline := time.Now().Add(time.Minute); ; {
			conn, _, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPClient: client})
			if err == nil {
				tunnels = append(tunnels, conn)
				t.Cleanup(func() { _ = conn.CloseNow() })
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %v", url, err)
			}
			<-time.After(10 * time.Millisecond)
		}
	}
	open(0)
	before := heap(t, at)
	for round := 1; round < tables; round++ {
		if err := at.Apply("all.yaml", objects(round)); err != nil {
			t.Fatal(err)
		}
		open(round)
	}
	after := heap(t, at)
	for i, conn := range tunnels {
		if err := conn.Write(t.Context(), websocket.MessageText, []byte("still there")); err != nil {
			t.Errorf("tunnel %d: %v", i, err)
		} else if _, text, err := conn.Read(t.Context()); err != nil || string(text) != "still there" {
			t.Errorf("tunnel %d: %q, %v", i, text, err)
		}
	}
	t.Logf("%d KiB in use with one table, %d KiB after %d, with a tunnel from each", before>>10, after>>10, tables)
	// A table of these routes is more than a megabyte, the buffers of a tunnel less than a hundred KiB.
	if limit := before + before/2 + tables*128<<10; after > limit {
		t.Errorf("%d KiB in use, want %d at most", after>>10, limit>>10)
	}
}

// heap is what the process has in use after a collection, in bytes.
func heap(t *testing.T, at *site.Site) int {
	t.Helper()
	var text []byte
	for range 2 { // what the first frees of finalizers goes with the second
		code, body, err := at.Admin("/debug/pprof/heap?gc=1&debug=1")
		if err != nil || code != http.StatusOK {
			t.Fatalf("heap: %d, %v", code, err)
		}
		text = body
	}
	m := regexp.MustCompile(`(?m)^# HeapAlloc = ([0-9]+)$`).FindSubmatch(text)
	if m == nil {
		t.Fatal("no HeapAlloc in the profile")
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

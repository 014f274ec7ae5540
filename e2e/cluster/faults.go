package cluster

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// apiPort is the API server's.
const apiPort = 6443

// SlowAPIServer has everything that nodes and Pods send to the API server, and its answers, come late. The
// API server is started anew, since open connections are not slowed. The function that it returns makes it
// fast again. The test's own requests are as fast as ever.
func (c *Cluster) SlowAPIServer(t testing.TB, latency time.Duration) (fast func()) {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(c.IP.String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	p := &slowProxy{listener: l, to: net.JoinHostPort(c.IP.String(), fmt.Sprint(apiPort)), latency: latency, open: map[net.Conn]bool{}}
	p.running.Go(p.serve)
	c.StopAPIServer()
	table := fmt.Sprintf("slow%d", c.number)
	err = nft(fmt.Sprintf("table ip %s { chain in { type nat hook prerouting priority -100; iifname node%d tcp dport %d redirect to :%d; }; }",
		table, c.number, apiPort, l.Addr().(*net.TCPAddr).Port))
	if err != nil {
		t.Fatal(err)
	}
	c.StartAPIServer(t)
	fast = sync.OnceFunc(func() {
		if err := nft("delete table ip " + table); err != nil {
			t.Error(err)
		}
		p.close()
	})
	t.Cleanup(fast)
	return fast
}

// slowProxy passes bytes on, each after latency.
type slowProxy struct {
	listener net.Listener
	to       string
	latency  time.Duration
	running  sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]bool // nil when it is closed
}

func (p *slowProxy) serve() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		server, err := net.Dial("tcp", p.to)
		if err != nil {
			_ = conn.Close()
			continue
		}
		p.mu.Lock()
		if p.open == nil {
			p.mu.Unlock()
			_, _ = conn.Close(), server.Close()
			return
		}
		p.open[conn], p.open[server] = true, true
		p.mu.Unlock()
		p.running.Go(func() { p.pass(conn, server) })
		p.running.Go(func() { p.pass(server, conn) })
	}
}

// pass copies until one of the two ends, and then ends both.
func (p *slowProxy) pass(from, to net.Conn) {
	type piece struct {
		due   time.Time
		bytes []byte
	}
	pieces := make(chan piece, 1000)
	p.running.Go(func() {
		for next := range pieces {
			<-time.After(time.Until(next.due))
			_, _ = to.Write(next.bytes) // when that fails so does from.Read
		}
		_, _ = from.Close(), to.Close()
		p.mu.Lock()
		delete(p.open, from)
		delete(p.open, to)
		p.mu.Unlock()
	})
	for {
		b := make([]byte, 16<<10)
		n, err := from.Read(b)
		if n > 0 {
			pieces <- piece{time.Now().Add(p.latency), b[:n]}
		}
		if err != nil {
			close(pieces)
			return
		}
	}
}

// close ends all connections.
func (p *slowProxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	for conn := range p.open {
		_ = conn.Close()
	}
	p.open = nil
	p.mu.Unlock()
	p.running.Wait()
}

// Drop has every node lose packets from one address to another, where they are those of nodes, of Pods on
// different nodes, or of the API server. Of ADDRESS:PORT only that TCP port is meant. The function that it
// returns ends that. Connections that are open wait.
func (c *Cluster) Drop(t testing.TB, from, to string) (heal func()) {
	t.Helper()
	match := ""
	for end, side := range map[string]string{from: "s", to: "d"} {
		address, port, err := net.SplitHostPort(end)
		if err != nil {
			address = end
		}
		match += fmt.Sprintf("ip %saddr %s ", side, address)
		if port != "" {
			match += fmt.Sprintf("tcp %sport %s ", side, port)
		}
	}
	table := fmt.Sprintf("drop%d", c.drops.Add(1))
	var rules strings.Builder
	for _, hook := range []string{"input", "forward", "output"} {
		fmt.Fprintf(&rules, "chain %[1]s { type filter hook %[1]s priority -10; %[2]s counter drop; }; ", hook, match)
	}
	for _, node := range c.Nodes {
		if _, err := node.Run("nft", fmt.Sprintf("table ip %s { %s }", table, rules.String())); err != nil {
			t.Fatal(err)
		}
	}
	heal = sync.OnceFunc(func() {
		for _, node := range c.Nodes {
			if _, err := node.Run("nft", "delete table ip "+table); err != nil {
				t.Error(err)
			}
		}
	})
	t.Cleanup(heal)
	return heal
}

// FillDisk fills the disk that a node keeps the output of containers on. The function that it returns makes
// room again.
func (n *Node) FillDisk(t testing.TB) (free func()) {
	t.Helper()
	const fill = logDir + "/fill"
	out, err := n.Run("sh", "-c", "cat /dev/zero >"+fill)
	if err == nil || !strings.Contains(out, "No space left") {
		t.Fatalf("the disk of %s: %v: %s, want it to be full", n.Name, err, out)
	}
	free = sync.OnceFunc(func() {
		if out, err := n.Run("rm", fill); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	t.Cleanup(free)
	return free
}

// Token returns a token for a ServiceAccount that is valid until ExpireToken is called with the same name.
func (c *Cluster) Token(t testing.TB, namespace, account, name string) string {
	t.Helper()
	c.Kubectl(t, "create", "secret", "generic", name, "-n", namespace)
	return strings.TrimSpace(c.Kubectl(t, "create", "token", account, "-n", namespace, "--bound-object-kind", "Secret", "--bound-object-name", name))
}

// ExpireToken ends the validity of a token. The API server notices within some seconds.
func (c *Cluster) ExpireToken(t testing.TB, namespace, name string) {
	t.Helper()
	c.Kubectl(t, "delete", "secret", name, "-n", namespace)
}

// nft has the kernel take rules in this network namespace.
func nft(rules string) error {
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s\n%s", err, out, rules)
	}
	return nil
}

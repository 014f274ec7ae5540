// Package reach has real networks that are broken in the ways that guides to Kubernetes'
// networking name, and asks explain what is wrong with each. Nothing is simulated but the cluster
// around them: packets are dropped, routes are missing, DNS servers are dead.
package reach

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netns"
	"golang.org/x/net/dns/dnsmessage"
)

// insideVariable tells the test binary that it runs in the namespaces made for it.
const insideVariable = "FAIRLEAD_REACH_INSIDE"

// binary is fairlead; resolvConf is what stands in /etc/resolv.conf.
var binary, resolvConf string

// TestMain runs the tests in a network and a mount namespace of their own: what they break
// is broken there alone, and /run/netns and /etc/resolv.conf are theirs.
func TestMain(m *testing.M) {
	if os.Getenv(insideVariable) != "" {
		binary = os.Getenv(insideVariable)
		resolvConf = filepath.Join(filepath.Dir(binary), "resolv.conf")
		if err := ownMounts(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	if os.Geteuid() != 0 || runtime.GOOS != "linux" {
		skip("network namespaces need Linux and root")
	}
	for _, program := range []string{"ip", "nft", "mount"} {
		if _, err := exec.LookPath(program); err != nil {
			skip(err.Error())
		}
	}
	os.Exit(runInside())
}

// ownMounts puts what tests change in front of the machine's.
func ownMounts() error {
	if err := os.WriteFile(resolvConf, nil, 0o644); err != nil {
		return err
	}
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		return err
	}
	for _, mount := range [][]string{{"--make-rprivate", "/"}, {"-t", "tmpfs", "tmpfs", "/run/netns"}, {"--bind", resolvConf, "/etc/resolv.conf"}} {
		if out, err := exec.Command("mount", mount...).CombinedOutput(); err != nil {
			return fmt.Errorf("mount %s: %w\n%s", strings.Join(mount, " "), err, out)
		}
	}
	return nil
}

func skip(why string) {
	fmt.Fprintln(os.Stderr, "skipped:", why)
	if os.Getenv("CI") == "true" {
		os.Exit(1)
	}
	os.Exit(0)
}

func runInside() int {
	dir, err := os.MkdirTemp("", "fairlead-reach-")
	if err != nil {
		skip(err.Error())
	}
	defer func() { _ = os.RemoveAll(dir) }()
	built := filepath.Join(dir, "fairlead")
	build := exec.Command("go", "build", "-o", built, "./cmd/fairlead")
	build.Dir = filepath.Join("..", "..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), insideVariable+"="+built)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // Pdeathsig is about the thread that started the process
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return max(exit.ExitCode(), 1)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// lab is three machines and a router between them: "ctl", where the controller runs, and
// the nodes "near" and "far". Its own namespace is the router.
//
//	ctl 10.1.0.2 -- 10.1.0.1 router 10.3.0.1 -- 10.3.0.2 near, Pods 10.13.0.0/24
//	                         router 10.2.0.1 -- 10.2.0.2 far, Pods 10.12.0.0/24, Services 10.96.0.0/16
type lab struct {
	t   *testing.T
	dir string
}

// machines are the lab's, with their address, and the networks behind them.
var machines = map[string][]string{
	"ctl":  {"10.1.0"},
	"far":  {"10.2.0", "10.12.0.0/24", "10.96.0.0/16"},
	"near": {"10.3.0", "10.13.0.0/24"},
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{t: t, dir: t.TempDir()}
	l.run("ip", "link", "set", "lo", "up")
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, networks := range machines {
		at := networks[0]
		l.run("ip", "netns", "add", name)
		l.run("ip", "link", "add", "to-"+name, "type", "veth", "peer", "name", "eth0", "netns", name)
		l.run("ip", "addr", "add", at+".1/24", "dev", "to-"+name)
		l.run("ip", "link", "set", "to-"+name, "up")
		l.on(name, "ip", "addr", "add", at+".2/24", "dev", "eth0")
		l.on(name, "ip", "link", "set", "eth0", "up")
		l.on(name, "ip", "link", "set", "lo", "up")
		l.on(name, "ip", "route", "add", "default", "via", at+".1")
		for _, network := range networks[1:] {
			l.run("ip", "route", "add", network, "via", at+".2")
		}
	}
	t.Cleanup(func() {
		for name := range machines {
			l.run("ip", "netns", "del", name)
			_ = exec.Command("ip", "link", "del", "to-"+name).Run() // it goes with its peer, sooner or later
		}
		_ = exec.Command("nft", "flush", "ruleset").Run()
		_ = exec.Command("ip", "route", "del", "unreachable", "10.12.0.0/24").Run()
	})
	return l
}

func (l *lab) run(command ...string) {
	l.t.Helper()
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		l.t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
}

// on runs a command on a machine.
func (l *lab) on(machine string, command ...string) {
	l.t.Helper()
	l.run(append([]string{"ip", "netns", "exec", machine}, command...)...)
}

// drop makes the router drop what it forwards and the rule of nft matches.
func (l *lab) drop(match string) {
	l.t.Helper()
	l.run("nft", "add table inet lab; add chain inet lab forward { type filter hook forward priority 0; }; add rule inet lab forward "+match+" drop")
}

// resolver sets which DNS server the machines are set up to ask.
func (l *lab) resolver(address string) {
	l.t.Helper()
	if err := os.WriteFile(resolvConf, []byte("nameserver "+address+"\noptions timeout:1 attempts:1\n"), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

// pod gives a machine the address of a Pod.
func (l *lab) pod(machine, address string) {
	l.t.Helper()
	l.on(machine, "ip", "addr", "add", address+"/32", "dev", "lo")
}

// inside calls listen with the network of a machine. The sockets that it makes stay there.
func (l *lab) inside(machine string, listen func() error) {
	l.t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and the thread ends with the goroutine
		ns, err := netns.GetFromName(machine)
		if err == nil {
			err = netns.Set(ns)
			_ = ns.Close()
		}
		if err == nil {
			err = listen()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		l.t.Fatalf("%s: %v", machine, err)
	}
}

// serve makes a machine answer HTTP at an address.
func (l *lab) serve(machine, address string) {
	l.t.Helper()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })}
	l.inside(machine, func() error {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		go func() { _ = server.Serve(listener) }()
		return nil
	})
	l.t.Cleanup(func() { _ = server.Close() })
}

// dns makes a machine answer DNS at an address: names have 10.2.0.2, all others do not exist.
func (l *lab) dns(machine, address string, names ...string) {
	l.t.Helper()
	var conn net.PacketConn
	l.inside(machine, func() (err error) {
		conn, err = net.ListenPacket("udp", address+":53")
		return err
	})
	l.t.Cleanup(func() { _ = conn.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if answer, err := answerDNS(buf[:n], names); err == nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
}

func answerDNS(query []byte, names []string) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil || len(m.Questions) == 0 {
		return nil, errors.Join(err, errors.New("no question"))
	}
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	m.RCode = dnsmessage.RCodeNameError
	q := m.Questions[0]
	for _, name := range names {
		if !strings.EqualFold(q.Name.String(), name+".") {
			continue
		}
		m.RCode = dnsmessage.RCodeSuccess
		if q.Type == dnsmessage.TypeA {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1},
				Body:   &dnsmessage.AResource{A: [4]byte{10, 2, 0, 2}},
			})
		}
	}
	return m.Pack()
}

package cluster

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
)

// insideVariable tells the test binary that it runs in the network namespace made for it.
const insideVariable = "FAIRLEAD_E2E_INSIDE"

// Main is the TestMain of packages that start clusters. It builds the binaries, then runs the
// tests in a network namespace of their own, where nothing outside can be reached and nothing
// there can disturb: the API server refuses endpoints on loopback, so tests need addresses.
//
// It needs Linux and root. Without them the tests are skipped, which is a failure where the
// variable CI is "true".
func Main(m *testing.M) {
	if os.Getenv(nodeVariable) != "" {
		initNode()
	}
	flag.Parse()
	if os.Getenv(insideVariable) != "" {
		if err := upLink("lo"); err != nil {
			fatal(err)
		}
		os.Exit(m.Run())
	}
	if reason := cannotRun(); reason != "" {
		fmt.Fprintln(os.Stderr, "skipped:", reason)
		if os.Getenv("CI") == "true" {
			os.Exit(1)
		}
		os.Exit(0)
	}
	removeLeftovers()
	if err := buildAll(); err != nil {
		fatal(err)
	}
	status := runInside()
	if err := removeTraces(os.Getpid()); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(status)
}

func cannotRun() string {
	switch {
	case runtime.GOOS != "linux":
		return "a cluster needs the network namespaces of Linux"
	case os.Geteuid() != 0:
		return "a cluster needs root for a network namespace of its own"
	case missingPrograms() != "":
		return "a node needs these programs, which .ci/run installs: " + missingPrograms()
	}
	return ""
}

// runInside runs this test binary again in a new network namespace and returns its exit status.
func runInside() int {
	self, err := os.Executable()
	if err != nil {
		fatal(err)
	}
	// An interrupt goes to the whole process group; the one inside cleans up.
	signal.Ignore(os.Interrupt)
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	dir := traces(os.Getpid())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		fatal(err)
	}
	cmd.Env = append(os.Environ(), insideVariable+"=1", "TMPDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // Pdeathsig is about the thread that started the process
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return max(exit.ExitCode(), 1)
	}
	if err != nil {
		fatal(fmt.Errorf("test in a network namespace of its own: %w", err))
	}
	return 0
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func upLink(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	return netlink.LinkSetUp(link)
}

// addNode makes a network interface with some addresses, as a node has one: a bridge without
// ports, which every kernel has.
func addNode(name string, at []*net.IPNet) error {
	attributes := netlink.NewLinkAttrs()
	attributes.Name = name
	link := &netlink.Bridge{LinkAttrs: attributes}
	if err := netlink.LinkAdd(link); err != nil {
		return fmt.Errorf("bridge %s: %w", name, err)
	}
	if err := addAddresses(link, at); err != nil {
		return fmt.Errorf("bridge %s: %w", name, err)
	}
	return netlink.LinkSetUp(link)
}

// addAddresses gives a link addresses that may be used at once.
func addAddresses(link netlink.Link, at []*net.IPNet) error {
	for _, address := range at {
		a := &netlink.Addr{IPNet: address}
		if address.IP.To4() == nil {
			a.Flags = syscall.IFA_F_NODAD // nobody is asked whether it is taken
		}
		if err := netlink.AddrAdd(link, a); err != nil {
			return fmt.Errorf("address %v: %w", address, err)
		}
	}
	return nil
}

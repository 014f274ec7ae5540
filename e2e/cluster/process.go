package cluster

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a program that runs beside the test.
type Process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it ended

	mu  sync.Mutex
	log bytes.Buffer
	err error // why it ended
}

// startProcess starts a program. Its output is shown when the test fails. It is killed when
// the test ends, if not before.
func startProcess(t testing.TB, name, path string, env []string, args ...string) *Process {
	t.Helper()
	return launch(t, name, 0, path, env, args...)
}

// startNamespaced is the same in new namespaces: of networks, mounts, processes, hosts' names
// and of what processes share.
func startNamespaced(t testing.TB, name, path string, env []string, args ...string) *Process {
	t.Helper()
	const all = syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC
	return launch(t, name, all, path, env, args...)
}

func launch(t testing.TB, name string, namespaces uintptr, path string, env []string, args ...string) *Process {
	t.Helper()
	p, err := run(name, namespaces, path, env, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.end(t) })
	return p
}

// run starts a program that whoever calls it has to end.
func run(name string, namespaces uintptr, path string, env []string, args ...string) (*Process, error) {
	p := &Process{name: name, cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Cloneflags: namespaces}
	if err := start(p.cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		err := p.cmd.Wait()
		p.mu.Lock()
		p.err = err
		p.mu.Unlock()
		close(p.done)
	}()
	return p, nil
}

// end kills the program and shows the output of one whose test has failed.
func (p *Process) end(t testing.TB) {
	p.Kill()
	if t.Failed() {
		t.Logf("output of %s:\n%s", p.name, tail(p.Log(), 6000))
	}
}

// start starts a program that must not outlive the test, however that ends. The kernel ends it
// with the thread that started it, so all are started by one that stays.
func start(cmd *exec.Cmd) error {
	starter.Do(func() {
		go func() {
			runtime.LockOSThread()
			for s := range starts {
				s.result <- s.cmd.Start()
			}
		}()
	})
	s := starting{cmd, make(chan error)}
	starts <- s
	return <-s.result
}

type starting struct {
	cmd    *exec.Cmd
	result chan error
}

var (
	starter sync.Once
	starts  = make(chan starting)
)

// Write implements io.Writer: the program's output.
func (p *Process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

var _ io.Writer = (*Process)(nil)

// Log is the output up to now.
func (p *Process) Log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// Pid is the process's id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Kill ends the program at once and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Terminate asks the program to end and waits until it did. It returns what Wait said.
func (p *Process) Terminate(t testing.TB, within time.Duration) error {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("terminate %s: %w", p.name, err)
	}
	return p.Wait(t, within)
}

// Wait waits until the program has ended, and returns why it did. The test fails when that takes
// longer.
func (p *Process) Wait(t testing.TB, within time.Duration) error {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(within):
		t.Fatalf("%s still runs after %v", p.name, within)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Ended reports whether the program ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return "..." + s[len(s)-n:]
}

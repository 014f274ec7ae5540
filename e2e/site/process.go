package site

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Deadlines of a process. They bound a failure, never a success.
const (
	startTime = 60 * time.Second
	stopTime  = 30 * time.Second
)

// Process is a running `fairlead serve`.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended and its log was read
	err  error         // of Wait; to be read after done

	mu        sync.Mutex
	log       strings.Builder
	addresses map[string]string // by listener, from the log
	changed   chan struct{}     // closed and replaced when addresses grew
}

// StartProcess runs the binary with args and waits until it is ready: its log has named the
// three listeners, and /readyz answers 200.
func StartProcess(binary string, args ...string) (*Process, error) {
	p := &Process{
		cmd:       exec.Command(binary, args...),
		done:      make(chan struct{}),
		addresses: map[string]string{},
		changed:   make(chan struct{}),
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go p.follow(stderr)
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	if err := p.ready(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%s %s: %w\n%s", binary, strings.Join(args, " "), err, p.Log()), p.Kill())
	}
	return p, nil
}

// follow reads the log until the process ends.
func (p *Process) follow(stderr io.Reader) {
	defer close(p.done)
	lines := bufio.NewReader(stderr)
	for {
		line, err := lines.ReadString('\n')
		p.note(line)
		if err != nil {
			break
		}
	}
	p.err = p.cmd.Wait()
}

// note keeps a line of the log, and the address if it tells of a listener.
func (p *Process) note(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log.WriteString(line)
	var entry struct{ Msg, Message, Name, Address string }
	if json.Unmarshal([]byte(line), &entry) != nil || entry.Msg+entry.Message != "listening" {
		return
	}
	p.addresses[entry.Name] = entry.Address
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Process) ready(ctx context.Context) error {
	for {
		p.mu.Lock()
		have, changed := len(p.addresses), p.changed
		p.mu.Unlock()
		if have >= 3 {
			break
		}
		select {
		case <-changed:
		case <-p.done:
			return fmt.Errorf("want it to listen, it ended: %w", p.err)
		case <-ctx.Done():
			return fmt.Errorf("want three lines `listening` in the log, got %d", have)
		}
	}
	for {
		code, _, err := p.Admin("/readyz")
		if code == http.StatusOK {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("want it to be ready, it ended: %w", p.err)
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("want /readyz to answer 200, got %d", code), err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Admin asks the admin listener.
func (p *Process) Admin(path string) (code int, body []byte, err error) {
	resp, err := adminClient.Get("http://" + p.Address("admin") + path)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

var adminClient = http.Client{Timeout: stopTime, Transport: &http.Transport{DisableKeepAlives: true}}

// Address is where a listener is reached: "http", "https" or "admin".
func (p *Process) Address(listener string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addresses[listener]
}

// PID is the process's.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Log is what the process wrote to its standard error so far.
func (p *Process) Log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// Terminate asks the process to end, as Kubernetes does.
func (p *Process) Terminate() error { return p.cmd.Process.Signal(syscall.SIGTERM) }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Stop ends the process. The error says when it did not end well: another status than 0, a
// data race, a panic, or no end at all.
func (p *Process) Stop() error {
	if err := p.Terminate(); err != nil {
		select {
		case <-p.done:
		default:
			return errors.Join(err, p.Kill())
		}
	}
	timer := time.NewTimer(stopTime)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		return errors.Join(fmt.Errorf("want the process to end within %v of SIGTERM\n%s", stopTime, p.Log()), p.Kill())
	}
	if p.err != nil {
		return fmt.Errorf("want exit status 0, got: %w\n%s", p.err, p.Log())
	}
	for _, sign := range []string{"WARNING: DATA RACE", "panic"} {
		if strings.Contains(p.Log(), sign) {
			return fmt.Errorf("want a log without %q\n%s", sign, p.Log())
		}
	}
	return nil
}

// Kill ends the process as a crash does.
func (p *Process) Kill() error {
	err := p.cmd.Process.Kill()
	<-p.done
	return err
}

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// stopTime is how long a process may take to end before it is killed.
const stopTime = 10 * time.Second

// process is a program that runs on certain CPUs until stop.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string        // the file with what it wrote to its standard error
	done chan struct{} // closed when it has ended
	err  error         // of Wait; to be read after done
	once sync.Once     // stop was called: its process group may be another's by now
}

// command says how a process is started.
type command struct {
	name   string
	dir    string   // for its log
	cpus   string   // as taskset takes them
	env    []string // in addition to that of this program
	stdout *os.File // nil discards it
	argv   []string
}

// start runs the command. Its process ends with this program, however this program ends.
func (c command) start() (*process, error) {
	log, err := os.CreateTemp(c.dir, c.name+"-*.log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command("taskset", append([]string{"-c", c.cpus}, c.argv...)...)
	cmd.Env = append(os.Environ(), c.env...)
	if c.stdout != nil {
		cmd.Stdout = c.stdout
	}
	cmd.Stderr = log
	// A group of its own: an interrupt at the terminal is for this program, which then stops
	// the others in order. The signal at death comes when the starting thread ends; the
	// runtime ends no thread unless a goroutine that is locked to it ends, and none is.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	p := &process{name: c.name, cmd: cmd, log: log.Name(), done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop ends the process and what it started. It may be called again.
func (p *process) stop() { p.once.Do(p.end) }

func (p *process) end() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // an error says that it has ended
	timer := time.NewTimer(stopTime)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
	}
	_ = syscall.Kill(-p.pid(), syscall.SIGKILL) // likewise
	<-p.done
}

// await polls ready until it is nil. It gives up when the process ends, and in the end.
func (p *process) await(limit time.Duration, ready func() error) error {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return p.explain(fmt.Errorf("want it to run, it ended: %w", errors.Join(p.err, err)))
		case <-deadline.C:
			return p.explain(fmt.Errorf("want it to be ready within %v: %w", limit, err))
		case <-tick.C:
		}
	}
}

// explain adds the process's name and the end of its log to an error.
func (p *process) explain(err error) error {
	const most = 4 << 10
	text, _ := os.ReadFile(p.log) // without a log there is less to say
	if len(text) > most {
		text = text[len(text)-most:]
	}
	return fmt.Errorf("%s: %w\n%s", p.name, err, text)
}

// listening returns a check that something accepts connections at every address.
func listening(addresses ...string) func() error {
	return func() error {
		for _, a := range addresses {
			c, err := net.DialTimeout("tcp", a, time.Second)
			if err != nil {
				return err
			}
			_ = c.Close() // it was to be opened only
		}
		return nil
	}
}

// freeAddresses returns n loopback addresses at which nothing listens. Another program may
// take one before it is used: then its user says so.
func freeAddresses(n int) ([]string, error) {
	var found []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // only then, so that they differ
		found = append(found, l.Addr().String())
	}
	return found, nil
}

// writeFile writes a file of a directory and returns its path.
func writeFile(dir, name, text string) (string, error) {
	file := filepath.Join(dir, name)
	return file, os.WriteFile(file, []byte(text), 0o644)
}

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestProcess(t *testing.T) {
	need(t, "taskset")
	dir := t.TempDir()
	// The child ignores what ends the shell: stop must end it, too.
	p, err := command{
		name: "shell", dir: dir, cpus: "0", env: []string{"SAY=hello", "DIR=" + dir},
		argv: []string{"sh", "-c", `sh -c 'trap "" TERM; echo $$ >$DIR/child.tmp; mv $DIR/child.tmp $DIR/child; while :; do sleep 1; done' & echo $SAY >&2; wait`},
	}.start()
	if err != nil {
		t.Fatal(err)
	}
	var child int
	err = p.await(30*time.Second, func() error {
		text, err := os.ReadFile(filepath.Join(dir, "child"))
		if err == nil {
			child, err = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		return err
	})
	if err != nil {
		p.stop()
		t.Fatal(err)
	}
	p.stop()
	p.stop() // may be called again
	eventually(t, "the child to be gone", func() bool {
		text, err := os.ReadFile("/proc/" + itoa(child) + "/stat")
		return err != nil || strings.Contains(string(text), ") Z ") // nobody may wait for an orphan
	})
	if err := p.explain(errors.New("why")); !strings.Contains(err.Error(), "shell: why\nhello") {
		t.Errorf("want the name, the error and the log, got %v", err)
	}
}

func TestAwaitEnded(t *testing.T) {
	need(t, "taskset")
	p, err := command{name: "shell", dir: t.TempDir(), cpus: "0", argv: []string{"sh", "-c", "echo broken >&2; exit 3"}}.start()
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	err = p.await(time.Minute, func() error { return errors.New("not yet") })
	for _, want := range []string{"shell", "exit status 3", "not yet", "broken"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

func TestFreeAddresses(t *testing.T) {
	all, err := freeAddresses(20)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, a := range all {
		if seen[a] {
			t.Errorf("%s is there twice", a)
		}
		seen[a] = true
		if listening(a)() == nil {
			t.Errorf("%s: want nothing to listen there", a)
		}
	}
}

func TestDenyServices(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy-rc.d")
	allow, err := denyServices(file)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode()&0o100 == 0 {
		t.Errorf("want a program, got %v, %v", info, err)
	}
	allow()
	if _, err := os.Stat(file); err == nil {
		t.Error("want the policy to be taken back")
	}

	if err := os.WriteFile(file, []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	if allow, err = denyServices(file); err != nil {
		t.Fatal(err)
	}
	allow()
	if text, err := os.ReadFile(file); string(text) != "theirs" {
		t.Errorf("want the administrator's policy to stay, got %q, %v", text, err)
	}
}

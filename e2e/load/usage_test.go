package main

import (
	"os/exec"
	"slices"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	// The name has what the format makes hard: blanks and parentheses.
	const line = "4242 (a) b (c) S 17 4242 4242 0 -1 4194560 150 0 0 0 123 45 9 9 20 0 5 0 100 1 1 1\n"
	s, err := parseStat(line)
	want := stat{pid: 4242, parent: 17, user: 1230 * time.Millisecond, system: 450 * time.Millisecond}
	if err != nil || s != want {
		t.Errorf("want %+v, got %+v, %v", want, s, err)
	}
	for _, line := range []string{"", "1 (x", "1 (x) S 1 2", "x (y) S 1 1 1 1 1 1 1 1 1 1 1 1 1 1"} {
		if s, err := parseStat(line); err == nil {
			t.Errorf("%q: want an error, got %+v", line, s)
		}
	}
}

func TestParseMachineTime(t *testing.T) {
	c, err := parseMachineTime("cpu  100 1 20 1000 300 4 5 6 50 60\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
	want := cpuTime{busy: 130 * tick, steal: 6 * tick, total: 1436 * tick}
	if err != nil || c != want {
		t.Errorf("want %+v, got %+v, %v", want, c, err)
	}
	for _, text := range []string{"", "cpu 1 2", "cpu0 1 2 3 4 5 6 7 8 9", "cpu 1 2 3 x 5 6 7 8"} {
		if c, err := parseMachineTime(text); err == nil {
			t.Errorf("%q: want an error, got %+v", text, c)
		}
	}
}

func TestStatusField(t *testing.T) {
	text := []byte("Name:\tx\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n")
	for name, want := range map[string]int64{"voluntary_ctxt_switches": 12, "nonvoluntary_ctxt_switches": 3, "ctxt_switches": 0, "Name": 0} {
		if got := statusField(text, name); got != want {
			t.Errorf("%s: want %d, got %d", name, want, got)
		}
	}
}

// TestUsed burns CPU time in a grandchild: a proxy's work is its workers'.
func TestUsed(t *testing.T) {
	cmd := exec.Command("sh", "-c", "sh -c 'while :; do :; done' & echo; wait")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	t.Cleanup(func() {
		pids, _ := tree(pid)
		for _, p := range slices.Backward(pids) {
			exec.Command("kill", "-9", itoa(p)).Run()
		}
		cmd.Wait()
	})
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	before, err := used(pid)
	if err != nil {
		t.Fatal(err)
	}
	if before.processes != 2 {
		t.Errorf("want the shell and its child, got %d processes", before.processes)
	}
	var spent usage
	eventually(t, "100 ms of CPU time", func() bool {
		now, err := used(pid)
		if err != nil {
			t.Fatal(err)
		}
		spent = now.since(before)
		return spent.cpu() >= 100*time.Millisecond
	})
	if spent.processes != 0 {
		t.Errorf("want no process more, got %d", spent.processes)
	}
	alone, err := usedAlone(pid)
	if err != nil {
		t.Fatal(err)
	}
	if alone.cpu() >= 100*time.Millisecond {
		t.Errorf("want the child's time to be the child's, got %v for the shell", alone.cpu())
	}
}

package e2e_test

import (
	"bufio"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Every curl line that the demo prints answers as it says when it is pasted into a shell, and
// Ctrl-C leaves nothing behind.
func TestDemo(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("the demo's lines are for curl: %v", err)
	}
	cmd := exec.Command(binary, "demo", "--http-address", "127.0.0.1:0", "--https-address", "127.0.0.1:0", "--admin-address", "127.0.0.1:0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop := func() error {
		if stopped {
			return nil
		}
		stopped = true
		timer := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
		return errors.Join(cmd.Process.Signal(syscall.SIGINT), cmd.Wait())
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("Ctrl-C: %v\n%s", err, stderr.Bytes())
		}
	})

	dir, curls := readDemo(t, bufio.NewScanner(stdout))
	for _, want := range []string{"/api", "/slow", "/failing", "/chat", "https://", "nowhere", "/debug/table", "/metrics"} {
		if !strings.Contains(strings.Join(curls, "\n"), want) {
			t.Errorf("want a curl line with %q, found none", want)
		}
	}
	for _, line := range curls {
		command, _, _ := strings.Cut(line, "#")
		want := "200"
		for part, code := range map[string]string{"/failing": "500", "nowhere": "404", "forgotten": "503", "/chat": "101"} {
			if strings.Contains(line, part) {
				want = code
			}
		}
		// A WebSocket stays open until curl's own limit, which is an error to curl.
		out, err := exec.Command("sh", "-c", command+` -s -S -o /dev/null -w '%{http_code}'`).Output()
		if err != nil && want != "101" || string(out) != want {
			t.Errorf("%s\nwant %s, got %s, %v", line, want, out, err)
		}
	}
	if err := stop(); err != nil {
		t.Errorf("Ctrl-C: %v\n%s", err, stderr.Bytes())
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("want %s to be gone, got %v", dir, err)
	}
}

// readDemo reads what the demo prints: its directory, and the curl lines.
func readDemo(t *testing.T, lines *bufio.Scanner) (dir string, curls []string) {
	t.Helper()
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if _, after, ok := strings.Cut(line, "serves the manifests in "); ok {
			dir = after
		}
		if strings.HasPrefix(line, "curl ") {
			curls = append(curls, line)
		}
		if strings.Contains(line, "Ctrl-C") {
			break
		}
	}
	if dir == "" || len(curls) == 0 {
		t.Fatalf("want the demo to print its directory and curl lines, got %q and %d", dir, len(curls))
	}
	go func() { // so that it never blocks on what it prints later
		for lines.Scan() {
		}
	}()
	return dir, curls
}

package cluster

import (
	"crypto/tls"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestTicketsOfThreeReplicas: a session that was begun with one replica is resumed by each other,
// and goes on to be when the keys are rotated and the leader is gone.
func TestTicketsOfThreeReplicas(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{})
	c.Apply(t, ourClass+site("default", "web"))
	var replicas []*Instance
	for i := range 3 {
		replicas = append(replicas, c.Serve(t, InstanceOptions{Name: fmt.Sprintf("fairlead-%d", i)}))
	}
	sealing := func(r *Instance) (since string) {
		for line := range strings.Lines(r.Admin("/metrics").Body) {
			if value, ok := strings.CutPrefix(line, "fairlead_session_ticket_key_timestamp_seconds "); ok {
				since = strings.TrimSpace(value)
			}
		}
		return since
	}
	agree := func(what string, but ...string) (since string) {
		t.Helper()
		Eventually(t, time.Minute, what, func() bool {
			since = sealing(replicas[0])
			for _, r := range replicas[1:] {
				if sealing(r) != since {
					return false
				}
			}
			return since != "" && !slices.Contains(but, since)
		})
		return since
	}
	// resumes begins sessions with every replica and takes each up with every other.
	resumes := func() {
		t.Helper()
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			for i, first := range replicas {
				cache := tls.NewLRUClientSessionCache(1)
				if handshake(t, first, version, cache) {
					t.Error("a new session is resumed")
				}
				for j, second := range replicas {
					if !handshake(t, second, version, cache) {
						t.Errorf("%s: replica %d does not resume a session of replica %d", tls.VersionName(version), j, i)
					}
				}
			}
		}
	}
	first := agree("all replicas have the keys")
	resumes()

	// Half a day later, as the Secret has it.
	long := time.Now().Add(-13 * time.Hour).Truncate(time.Second).UTC()
	c.Kubectl(t, "patch", "secret", "fairlead-leader-tickets", "--type=merge", "-p", fmt.Sprintf(`{"stringData": {"since": %q}}`, long.Format(time.RFC3339)))
	agree("the keys are rotated", first, strconv.FormatFloat(float64(long.Unix()), 'g', -1, 64))
	resumes()
	for i, r := range replicas {
		if keys := c.Kubectl(t, "get", "secret", "fairlead-leader-tickets", "-o", "jsonpath={.data.current}"); strings.Contains(r.Log(), keys) {
			t.Errorf("replica %d logs a key", i)
		}
	}
}

// handshake connects with the sessions of cache and reports whether one was resumed. The answer is
// read, as tickets of TLS 1.3 come after the handshake.
func handshake(t *testing.T, r *Instance, version uint16, cache tls.ClientSessionCache) (resumed bool) {
	t.Helper()
	conn, err := tls.Dial("tcp", r.addresses["https"], &tls.Config{
		ServerName: "web.example", InsecureSkipVerify: true, MinVersion: version, MaxVersion: version, ClientSessionCache: cache,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: web.example\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Fatal(err)
	}
	return conn.ConnectionState().DidResume
}

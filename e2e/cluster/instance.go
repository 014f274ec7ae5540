package cluster

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// Instance is the fairlead binary, serving a cluster.
type Instance struct {
	*Process
	addresses map[string]string // of its listeners: http, https, admin
	client    *http.Client
}

// InstanceOptions say how to start fairlead.
type InstanceOptions struct {
	Kubeconfig string   // of the user it runs as
	Name       string   // of its Pod
	Args       []string // further flags
	Namespace  string   // of its Pod: "default" if empty
}

// Serve starts fairlead and waits until it listens; not until it is ready.
func (c *Cluster) Serve(t testing.TB, o InstanceOptions) *Instance {
	t.Helper()
	if o.Kubeconfig == "" {
		o.Kubeconfig = c.Kubeconfig
	}
	if o.Name == "" {
		o.Name = "fairlead-0"
	}
	if o.Namespace == "" {
		o.Namespace = "default"
	}
	any := net.JoinHostPort(c.IP.String(), "0")
	args := append([]string{
		"serve", "--kubeconfig", o.Kubeconfig, "--http-address", any, "--https-address", any,
		"--admin-address", "127.0.0.1:0", "--shutdown-delay", "0s", "--access-log", "off",
	}, o.Args...)
	i := &Instance{
		Process:   startProcess(t, o.Name, binary(fairlead), []string{"POD_NAME=" + o.Name, "POD_NAMESPACE=" + o.Namespace}, args...),
		addresses: make(map[string]string),
	}
	Eventually(t, 30*time.Second, o.Name+" listens", func() bool {
		if i.Ended() {
			t.Fatalf("%s ended:\n%s", o.Name, i.Log())
		}
		for _, e := range i.Entries() {
			if e.Message == "listening" {
				i.addresses[e.Name] = e.Address
			}
		}
		return len(i.addresses) == 3
	})
	i.client = &http.Client{
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 100,
			TLSClientConfig:     &tls.Config{InsecureSkipVerify: true},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, i.addresses["http"])
			},
		},
	}
	t.Cleanup(i.client.CloseIdleConnections)
	return i
}

// Entry is a line of fairlead's log.
type Entry struct {
	Level   string `json:"level"`
	Message string `json:"msg"`
	Name    string `json:"name"`
	Address string `json:"address"`
	Line    string `json:"-"` // as it is
}

// Entries are the lines of the log up to now.
func (i *Instance) Entries() []Entry {
	var entries []Entry
	for lines := bufio.NewScanner(strings.NewReader(i.Log())); lines.Scan(); {
		e := Entry{Line: lines.Text()}
		if json.Unmarshal(lines.Bytes(), &e) == nil {
			entries = append(entries, e)
		}
	}
	return entries
}

// Answer is what a request got.
type Answer struct {
	Status  int
	Backend string // the name of the backend that answered
	Body    string
	Err     error // there is no answer
}

// Get asks for http://HOST/PATH.
func (i *Instance) Get(hostAndPath string) Answer {
	return get(i.client, "http://"+hostAndPath)
}

// Admin asks the admin port.
func (i *Instance) Admin(path string) Answer {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	return get(client, "http://"+i.addresses["admin"]+path)
}

func get(client *http.Client, url string) Answer {
	resp, err := client.Get(url)
	if err != nil {
		return Answer{Err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return Answer{Status: resp.StatusCode, Backend: resp.Header.Get("Backend-Name"), Body: string(body), Err: err}
}

// Certificate is the common name of the certificate served for a host.
func (i *Instance) Certificate(t testing.TB, host string) string {
	t.Helper()
	conn, err := tls.Dial("tcp", i.addresses["https"], &tls.Config{ServerName: host, InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// Ready reports whether fairlead says it is ready.
func (i *Instance) Ready() bool { return i.Admin("/readyz").Status == http.StatusOK }

// WaitReady waits until fairlead is ready.
func (i *Instance) WaitReady(t testing.TB) {
	t.Helper()
	Eventually(t, time.Minute, i.name+" is ready", i.Ready)
}

// Backend starts an HTTP server on the node. Its answers carry name as Backend-Name.
func (c *Cluster) Backend(t testing.TB, name string) *net.TCPAddr {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(c.IP.String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Backend-Name", name)
		fmt.Fprintln(w, name)
	})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() {
		_ = server.Close()
		serving.Wait()
	})
	return l.Addr().(*net.TCPAddr)
}

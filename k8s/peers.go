package k8s

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// Peers are the replicas that clients reach, this one among them: the ready endpoints of the
// Service that leads to them.
type Peers struct {
	Service types.NamespacedName
	// Snapshot is the present state; nil while there is none.
	Snapshot func() *ingress.Snapshot
}

const (
	// peersTime is how long replicas may take to answer before the authority is asked to look.
	peersTime = 5 * time.Second
	// peersUnknown is how long they are given where it is not known who they are.
	peersUnknown = time.Second
)

// AnswerHTTP waits until all replicas answer a request for a host and path with want, for 5 s at
// most: one that cannot be asked, as a policy of the network may forbid it, is no reason not to go on.
func (p *Peers) AnswerHTTP(ctx context.Context, host, path, want string) {
	transport := &http.Transport{DisableKeepAlives: true, ResponseHeaderTimeout: time.Second}
	client := &http.Client{Transport: transport, Timeout: 2 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	p.wait(ctx, 80, func(ctx context.Context, address string) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
		if err != nil {
			return err
		}
		r.Host = host
		resp, err := client.Do(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		if err == nil && strings.TrimSpace(string(body)) != want {
			err = errors.New("another answer")
		}
		return err
	})
}

// AnswerTLS waits in the same way until all replicas agree on a protocol for a host.
func (p *Peers) AnswerTLS(ctx context.Context, host, protocol string) {
	p.wait(ctx, 443, func(ctx context.Context, address string) error {
		d := tls.Dialer{NetDialer: &net.Dialer{Timeout: time.Second}, Config: &tls.Config{
			ServerName: host, NextProtos: []string{protocol}, MinVersion: tls.VersionTLS12,
			InsecureSkipVerify: true, // nothing is said to them
		}}
		conn, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

func (p *Peers) wait(ctx context.Context, port int32, answers func(ctx context.Context, address string) error) {
	addresses := p.addresses(port)
	if len(addresses) == 0 {
		sleep(ctx, peersUnknown)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, peersTime)
	defer cancel()
	var wg sync.WaitGroup
	for _, address := range addresses {
		wg.Go(func() {
			for ctx.Err() == nil && answers(ctx, address) != nil {
				sleep(ctx, 100*time.Millisecond)
			}
		})
	}
	wg.Wait()
}

// addresses are those of the ready endpoints of the Service's port.
func (p *Peers) addresses(port int32) []string {
	s := p.Snapshot()
	if s == nil || s.Services[p.Service] == nil {
		return nil
	}
	var list []string
	for _, servicePort := range s.Services[p.Service].Spec.Ports {
		if servicePort.Port != port {
			continue
		}
		for _, slice := range s.Slices[p.Service] {
			for _, slicePort := range slice.Ports {
				if slicePort.Port == nil || slicePort.Name != nil && *slicePort.Name != servicePort.Name {
					continue
				}
				for _, e := range slice.Endpoints {
					if len(e.Addresses) > 0 && (e.Conditions.Ready == nil || *e.Conditions.Ready) {
						list = append(list, net.JoinHostPort(e.Addresses[0], strconv.Itoa(int(*slicePort.Port))))
					}
				}
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

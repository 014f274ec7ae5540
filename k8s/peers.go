package k8s

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
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
	// Opening is what replicas want a connection from an address to begin with; false where they
	// close it whatever it says. Nil: nothing.
	Opening func(from netip.Addr) (string, bool)
}

const (
	// peersTime is how long replicas may take to answer before the authority is asked to look.
	peersTime = 5 * time.Second
	// peersUnknown is how long they are given where it is not known who they are, or where they
	// want connections from load balancers alone.
	peersUnknown = time.Second
)

// errNotAdmitted says that a replica would close the connection.
var errNotAdmitted = errors.New("the replicas want a PROXY header, and not from here")

// AnswerHTTP waits until all replicas answer a request for a host and path with want, for 5 s at
// most: one that cannot be asked, as a policy of the network may forbid it, is no reason not to go on.
func (p *Peers) AnswerHTTP(ctx context.Context, host, path, want string) {
	transport := &http.Transport{DialContext: p.dial, DisableKeepAlives: true, ResponseHeaderTimeout: time.Second}
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
		conn, err := p.dial(ctx, "tcp", address)
		if err != nil {
			return err
		}
		defer conn.Close()
		return tls.Client(conn, &tls.Config{
			ServerName: host, NextProtos: []string{protocol}, MinVersion: tls.VersionTLS12,
			InsecureSkipVerify: true, // nothing is said to them
		}).HandshakeContext(ctx)
	})
}

// dial connects to a replica as Opening says.
func (p *Peers) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.DialContext(ctx, network, address)
	if err != nil || p.Opening == nil {
		return conn, err
	}
	var from netip.Addr
	if local, ok := conn.LocalAddr().(*net.TCPAddr); ok {
		from = local.AddrPort().Addr().Unmap()
	}
	opening, admitted := p.Opening(from)
	if !admitted {
		err = errNotAdmitted
	} else if opening != "" {
		_, err = io.WriteString(conn, opening)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
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
			for ctx.Err() == nil {
				err := answers(ctx, address)
				if err == nil {
					return
				}
				if errors.Is(err, errNotAdmitted) {
					sleep(ctx, peersUnknown)
					return
				}
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

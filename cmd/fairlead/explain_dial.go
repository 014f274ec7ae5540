package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fairlead-ingress/fairlead/k8s/explain"
	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// probeTime bounds one attempt.
const probeTime = 3 * time.Second

// largeField is more than fits into one packet of any usual network.
const largeField = 6 << 10

// maxProbes bounds how many endpoints are tried.
const maxProbes = 16

// dial makes a connection as the data plane would, to nothing that it would not connect to.
type dial func(ctx context.Context, network, address string) (net.Conn, error)

// probeAll tries targets side by side.
func (d dial) probeAll(ctx context.Context, targets []explain.Target) []explain.Attempt {
	targets = targets[:min(len(targets), maxProbes)]
	attempts := make([]explain.Attempt, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		wg.Go(func() { attempts[i] = d.probeOne(ctx, t) })
	}
	wg.Wait()
	return attempts
}

func (d dial) probeOne(ctx context.Context, t explain.Target) explain.Attempt {
	a := explain.Attempt{Target: t.Address, ClusterIP: t.ClusterIP}
	a.Status, a.Err = d.probeOnce(ctx, t, 0)
	if a.Err != nil {
		a.Fault = fault(a.Err)
		return a
	}
	_, err := d.probeOnce(ctx, t, largeField)
	a.LargeLost = err != nil && fault(err) == "ResponseTimeout"
	return a
}

var errDial = errors.New("connect")

func (d dial) probeOnce(ctx context.Context, t explain.Target, size int) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			c, err := d(ctx, network, t.Address)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", errDial, err)
			}
			return c, nil
		},
		// As the proxy does it: a backend's certificate is not verified unless that is asked for.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: strings.Split(t.Host, ":")[0]},
	}
	var protocols http.Protocols
	protocols.SetHTTP1(!t.H2C)
	protocols.SetUnencryptedHTTP2(t.H2C)
	transport.Protocols = &protocols
	defer transport.CloseIdleConnections()
	scheme := "http"
	if t.TLS {
		scheme = "https"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+t.Address+t.Path, nil)
	if err != nil {
		return 0, err
	}
	r.Host = t.Host
	if size > 0 {
		r.Header.Set("X-Fairlead-Probe", strings.Repeat("x", size))
	}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	_ = resp.Body.Close()
	return resp.StatusCode, nil
}

// fault is the reason for an error of an attempt.
func fault(err error) explain.Reason {
	var (
		record  tls.RecordHeaderError
		verify  *tls.CertificateVerificationError
		alert   tls.AlertError
		timeout net.Error
	)
	dial := errors.Is(err, errDial)
	switch {
	case upstream.IsDenied(err):
		return explain.Reason(ingress.EndpointAddressDenied)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "ConnectionRefused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "NoRoute"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		if dial {
			return "ConnectTimeout"
		}
		return "ResponseTimeout"
	case errors.As(err, &record), errors.As(err, &verify), errors.As(err, &alert):
		return "TLSFailed"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), !dial && strings.HasSuffix(err.Error(), "EOF"):
		return "ConnectionReset"
	case dial:
		return "NoRoute"
	}
	return "NotHTTP"
}

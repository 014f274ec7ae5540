package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// startTime is how long a proxy may take until it serves, with all its routes.
const startTime = 60 * time.Second

// idleUpstream is how many idle connections to the backend every proxy keeps: fairlead's
// default.
const idleUpstream = 64

// place is where proxies run: what they share. Each gets a copy with a directory of its own.
type place struct {
	dir         string // for configurations and logs; removed in the end
	cpus        string // of the proxies, as taskset takes them
	threads     int    // of a proxy: the number of those CPUs
	cert, key   []byte // PEM, for localhost and *.localhost
	backendPort int    // where the row's body is
}

// proxy is a reverse proxy that runs, in front of the backend.
type proxy struct {
	*process
	http, https string
	admin       string // fairlead's; empty for others
	access      string // the file with its access log
	asked       int64  // how many requests warmed it up
}

// address is where the row's requests go.
func (p *proxy) address(r Row) string {
	if r.TLS {
		return p.https
	}
	return p.http
}

// subject is something to measure.
type subject struct {
	name    string
	program string // that has to be installed; empty when there is nothing to install
	// everything says that it routes all requests to the backend, whatever the row's routes.
	everything bool
	// What runs, where it is a fairlead.
	binary string
	flags  []string

	launch func(at place, r Row, log *os.File) (*proxy, error)
}

// start starts the subject for a row and waits until it serves.
func (s subject) start(at place, r Row) (*proxy, error) {
	dir, err := os.MkdirTemp(at.dir, "proxy-*")
	if err != nil {
		return nil, err
	}
	at.dir = dir
	log, err := os.OpenFile(filepath.Join(dir, "access.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own
	p, err := s.launch(at, r, log)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	p.access = log.Name()
	return p, nil
}

// ready waits until p serves. Else it ends p.
func ready(p *proxy, check func() error) (*proxy, error) {
	if err := p.await(startTime, check); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

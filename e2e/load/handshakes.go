package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fairlead-ingress/fairlead/e2e/site"
)

// handshakesCommand prints how many TLS 1.3 handshakes a CPU does in a second, in a fairlead, nginx
// and HAProxy: with a certificate of each kind, in full and resumed by a ticket.
func handshakesCommand(ctx context.Context, args []string, out, progress io.Writer) error {
	f := &handshakeFlags{FlagSet: flag.NewFlagSet("load handshakes", flag.ContinueOnError)}
	f.SetOutput(progress)
	f.StringVar(&f.binary, "binary", "", "fairlead `binary` to measure (default: built)")
	f.StringVar(&f.root, "root", "..", "`directory` of the module that fairlead is built from")
	f.IntVar(&f.rounds, "rounds", 5, "how many `rounds`, which alternate the proxies")
	f.IntVar(&f.seconds, "seconds", 3, "how many `seconds` a run takes")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 || f.rounds < 1 || f.seconds < 1 {
		return fmt.Errorf("handshakes: want -rounds and -seconds of 1 at least and no argument, got %d, %d and %q", f.rounds, f.seconds, f.Args())
	}
	return f.run(ctx, out, progress)
}

type handshakeFlags struct {
	*flag.FlagSet
	binary, root    string
	rounds, seconds int
}

func (f *handshakeFlags) run(ctx context.Context, out, progress io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "fairlead-load-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if f.binary == "" {
		fmt.Fprintf(progress, "building fairlead of %s\n", f.root)
		if f.binary, err = build(ctx, f.root, dir); err != nil {
			return err
		}
	}
	subjects := []subject{fairleadSubject(fairleadName, f.binary, nil), nginxSubject(), haproxySubject()}
	if err := install(ctx, progress, "nginx", "haproxy", "taskset"); err != nil {
		return err
	}
	ca, err := site.NewAuthority()
	if err != nil {
		return err
	}
	backend, err := startBackend(dir, "0")
	if err != nil {
		return err
	}
	defer backend.stop()
	row := Row{Size: 64, Connections: 1, TLS: true, Routes: 1}
	at := place{dir: dir, cpus: strconv.Itoa(runtime.NumCPU() - 1), threads: 1, backendPort: backend.ports[row.Size]}
	for _, kind := range []string{"ECDSA", "RSA"} {
		if at.cert, at.key, err = ca.Issue(site.Request{Names: []string{"localhost", "*.localhost"}, RSA: kind == "RSA"}); err != nil {
			return err
		}
		for _, resumed := range []bool{false, true} {
			figures := make([][]float64, len(subjects))
			for round := range f.rounds {
				for i := range subjects {
					if round%2 == 1 {
						i = len(subjects) - 1 - i
					}
					n, err := f.measure(ctx, subjects[i], at, row, resumed)
					if err != nil {
						return fmt.Errorf("%s: %w", subjects[i].name, err)
					}
					figures[i] = append(figures[i], n)
				}
			}
			fmt.Fprintln(out, handshakeLine(kind, resumed, subjects, figures))
		}
	}
	return nil
}

// handshakeLine has the medians, how far the rounds are apart, and the ratios to fairlead's.
func handshakeLine(kind string, resumed bool, subjects []subject, figures [][]float64) string {
	var b strings.Builder
	how := "full"
	if resumed {
		how = "resumed"
	}
	fmt.Fprintf(&b, "%-5s %-7s", kind, how)
	for i, s := range subjects {
		slices.Sort(figures[i])
		n := figures[i]
		middle := n[len(n)/2]
		fmt.Fprintf(&b, "  %s %.0f in a CPU-second (%.0f to %.0f)", s.name, middle, n[0], n[len(n)-1])
		if i > 0 {
			fmt.Fprintf(&b, ", fairlead does %.2f of that", figures[0][len(figures[0])/2]/middle)
		}
	}
	return b.String()
}

// measure starts the subject and returns how many handshakes it does in a second of CPU.
func (f *handshakeFlags) measure(ctx context.Context, s subject, at place, r Row, resumed bool) (float64, error) {
	p, err := s.start(at, r)
	if err != nil {
		return 0, err
	}
	defer p.stop()
	session := &oneSession{}
	if err := primed(ctx, p.address(r), session); err != nil {
		return 0, err
	}
	if !resumed {
		session = nil
	}
	if _, err := shakeHands(ctx, p.address(r), session, time.Second); err != nil { // warm
		return 0, err
	}
	before, err := used(p.pid())
	if err != nil {
		return 0, err
	}
	n, err := shakeHands(ctx, p.address(r), session, time.Duration(f.seconds)*time.Second)
	if err != nil {
		return 0, err
	}
	after, err := used(p.pid())
	if err != nil {
		return 0, err
	}
	cpu := after.since(before).cpu()
	if cpu <= 0 {
		return 0, errors.New("it used no CPU time that could be measured: give more -seconds")
	}
	return float64(n) / cpu.Seconds(), nil
}

// shakers is how many connections are begun at a time.
const shakers = 8

// shakeHands does handshakes for a time and returns how many there were. All take up session, unless
// it is nil.
func shakeHands(ctx context.Context, address string, session *oneSession, during time.Duration) (int64, error) {
	end := time.Now().Add(during)
	var count atomic.Int64
	errs := make([]error, shakers)
	var workers sync.WaitGroup
	for i := range shakers {
		workers.Go(func() {
			for time.Now().Before(end) && errs[i] == nil {
				var state tls.ConnectionState
				if state, errs[i] = shake(ctx, address, session, false); errs[i] == nil {
					count.Add(1)
					if state.DidResume != (session != nil) {
						errs[i] = fmt.Errorf("resumed: %t, want %t", state.DidResume, session != nil)
					}
				}
			}
		})
	}
	workers.Wait()
	return count.Load(), errors.Join(errs...)
}

// shake does one handshake, and a request if the ticket is to come.
func shake(ctx context.Context, address string, session *oneSession, request bool) (tls.ConnectionState, error) {
	config := &tls.Config{ServerName: "localhost", InsecureSkipVerify: true, MinVersion: tls.VersionTLS13} // of this run's own authority
	if session != nil {
		config.ClientSessionCache = session
	}
	config.CurvePreferences = []tls.CurveID{tls.X25519} // which all three have
	c, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer c.Close()
	if request {
		_ = c.SetDeadline(time.Now().Add(30 * time.Second)) // the request fails for itself
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			return tls.ConnectionState{}, err
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return tls.ConnectionState{}, err
		}
		_ = resp.Body.Close()
	}
	return c.(*tls.Conn).ConnectionState(), nil
}

// primed fills session.
func primed(ctx context.Context, address string, session *oneSession) error {
	if _, err := shake(ctx, address, session, true); err != nil {
		return err
	}
	if session.state.Load() == nil {
		return errors.New("want a session ticket with the first response, got none")
	}
	return nil
}

// oneSession is a cache that keeps its first session, for all.
type oneSession struct {
	state atomic.Pointer[tls.ClientSessionState]
}

// Get implements tls.ClientSessionCache.
func (o *oneSession) Get(string) (*tls.ClientSessionState, bool) {
	s := o.state.Load()
	return s, s != nil
}

// Put implements tls.ClientSessionCache.
func (o *oneSession) Put(_ string, s *tls.ClientSessionState) {
	if s != nil {
		o.state.CompareAndSwap(nil, s)
	}
}

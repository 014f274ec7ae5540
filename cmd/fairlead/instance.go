package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/fairlead-ingress/fairlead/cmd/fairlead/dashboard"
	"github.com/fairlead-ingress/fairlead/k8s"
	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/k8s/manifest"
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/observe"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/tls/certs"
	"github.com/fairlead-ingress/fairlead/tls/tickets"
)

// instance is a running Fairlead: a source of objects, the controller that makes them live,
// the data ports and the admin port.
type instance struct {
	settings
	log        *zap.Logger
	cluster    *cluster      // nil with --manifests
	issuing    *issuing      // nil without --acme
	dir        *manifest.Dir // nil in a cluster
	proxy      *proxy.Proxy
	pools      *upstream.Registry
	certs      *certs.Store
	controller *k8s.Controller
	metrics    *observe.Metrics
	accessLog  *observe.AccessLog
	server     *proxy.Server
	tickets    ticketKeys
	admin      *admin
	problems   problemLog
	memory     memory
	rates      *dashboard.Rates
	history    *dashboard.History
	dashboard  *dashboard.Dashboard

	// localAddresses are those of this machine's interfaces.
	localAddresses func() []netip.Addr

	loaded     sync.Once
	firstTable chan struct{} // closed when the first table is live
}

// newLogger writes JSON lines to w.
func newLogger(w io.Writer, level zapcore.Level) *zap.Logger {
	config := zap.NewProductionEncoderConfig()
	config.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	config.EncodeDuration = zapcore.StringDurationEncoder
	config.TimeKey = "time"
	return zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(config), zapcore.Lock(zapcore.AddSync(w)), level))
}

// newInstance opens the ports and puts the parts together. Access log lines go to stdout.
func newInstance(s settings, log *zap.Logger, stdout io.Writer) (_ *instance, err error) {
	limits, err := newShares(s.maxConnections, log)
	if err != nil {
		return nil, err
	}
	in := &instance{
		settings: s, log: log, certs: new(certs.Store), problems: problemLog{log: log}, firstTable: make(chan struct{}),
		localAddresses: sync.OnceValue(localAddresses),
	}
	var source k8s.Source
	if s.manifests != "" {
		if in.dir, err = manifest.New(manifest.Options{Dir: s.manifests}); err != nil {
			return nil, err
		}
		source = in.dir
		if s.acme.on {
			if in.issuing, err = newDirectoryIssuing(s, in.dir, log); err != nil {
				return nil, err
			}
			source = in.issuing.source
		}
	} else {
		if s.acme.on {
			in.issuing = newIssuing(s, log)
		}
		if in.cluster, err = newCluster(s, in.tickets.use, in.issuing, log); err != nil {
			return nil, err
		}
		source = in.cluster.source
	}

	in.pools = upstream.NewRegistry(upstream.Options{
		AllowLocal: in.dir != nil, OwnListeners: in.ownListeners, MaxIdle: limits.idle,
		OnEject: func(e *upstream.Endpoint) { in.metrics.Ejected(e) },
	})
	in.proxy = proxy.New(in.pools)
	in.proxy.TrustedProxies, in.proxy.DebugClients = s.trusted, s.debug
	if in.issuing != nil {
		in.issuing.opening = in.proxy.Opening
		in.proxy.Challenge, in.proxy.ChallengeCertificate = in.issuing.answers.HTTP, in.issuing.answers.TLSALPN
	}
	in.proxy.Bodies = s.bodyLimits(log)
	in.proxy.OnPanic = func(x *proxy.Exchange, value any, stack []byte) {
		log.Error("panic in a request", zap.String("request_id", x.RequestID), zap.String("host", x.Host),
			zap.String("target", x.Target), zap.Any("panic", value), zap.ByteString("stack", stack))
	}
	in.accessLog = observe.NewAccessLog(stdout, observe.AccessLogOptions{Format: observe.Format(s.accessLog)})
	in.controller = &k8s.Controller{
		Source: source, Translator: ingress.NewTranslator(s.translation()),
		Proxy: in.proxy, Pools: in.pools, Certs: in.certs,
		ExtraProblems: in.fileProblems,
		Own:           in.isOwn,
		Replicas:      in.replicas(),
		OnUpdate:      in.updated,
		Log:           log.Named("controller"),
	}
	metrics := observe.Options{
		Version: buildVersion(), Table: in.proxy.Table, InFlight: in.proxy.InFlight, Tunnels: in.proxy.Tunnels, Replicas: in.proxy.Replicas,
		Bodies: in.proxy.BodyCounts, Mirrored: in.proxy.Mirrored, MaxConnections: limits.clients,
		Read: in.controller.Translator.Read, Compiled: in.proxy.Compiled,
		Synced: in.synced, Leader: in.leading, Problems: in.problemKinds, Certificates: in.expiries, AccessLog: in.accessLog,
		TicketKeys: in.tickets.since, QuirkRequests: in.quirkRequests(),
	}
	if in.issuing != nil {
		metrics.Orders, metrics.Issued = in.issuing.Outcomes, in.issuing.hosts
	}
	in.metrics = observe.NewMetrics(metrics)
	in.proxy.Observer = observe.Observer{Metrics: in.metrics, Log: in.accessLog}
	in.server = &proxy.Server{
		Proxy: in.proxy, HTTPAddress: s.httpAddress, HTTPSAddress: s.httpsAddress,
		TLS:           &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: in.certs.GetCertificate},
		Tickets:       &in.tickets.sealing,
		ShutdownDelay: noneIfZero(s.shutdownDelay), DrainTimeout: noneIfZero(s.drainTimeout),
		MaxConnections: limits.clients, Waited: in.metrics.Waited,
		ConnState: in.metrics.ConnState, Refused: in.metrics.Refused, Log: log, Engine: proxy.Engine(s.engine),
	}
	in.rates, in.history = dashboard.NewRates(in.metrics.Counts, nil), dashboard.NewHistory()
	in.dashboard = in.newDashboard()
	if in.admin, err = newAdmin(s.adminAddress, in); err != nil {
		return nil, errors.Join(err, in.close())
	}
	if err = in.server.Listen(); err != nil {
		return nil, errors.Join(err, in.close())
	}
	return in, nil
}

// noneIfZero makes the flag's "no time at all" what the Server understands as that.
func noneIfZero(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// addresses are those of the open ports by name: "http", "https" and "admin".
func (in *instance) addresses() map[string]net.Addr {
	addresses := in.server.Addresses()
	addresses["admin"] = in.admin.listener.Addr()
	return addresses
}

// ownListeners are the addresses that no endpoint may have.
func (in *instance) ownListeners() []netip.AddrPort {
	var own []netip.AddrPort
	for _, a := range in.addresses() {
		if tcp, ok := a.(*net.TCPAddr); ok {
			own = append(own, tcp.AddrPort())
		}
	}
	return own
}

// isOwn reports whether an endpoint's address is one of ownListeners: as it is, or by an address
// of this machine where that listens on all of them.
func (in *instance) isOwn(a upstream.Address) bool {
	addr, err := netip.ParseAddr(a.Host)
	if err != nil {
		return false // a name: whoever connects finds out
	}
	for _, own := range in.ownListeners() {
		if own.Port() != a.Port {
			continue
		}
		if own.Addr().Unmap() == addr.Unmap() || own.Addr().IsUnspecified() && slices.Contains(in.localAddresses(), addr.Unmap()) {
			return true
		}
	}
	return false
}

// startGrace is how long requests wait for the first table before they are answered 503.
const startGrace = time.Second

// run serves until ctx ends, and then drains. It returns early when a part fails for good.
func (in *instance) run(ctx context.Context) error {
	for name, address := range in.addresses() {
		in.log.Info("listening", zap.String("name", name), zap.String("address", address.String()))
	}
	failed := make(chan error, 4)
	go func() {
		if err := in.admin.server.Serve(in.admin.listener); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("admin port: %w", err)
		}
	}()

	// The controller goes on while requests are drained: their endpoints may still change.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	controller := make(chan struct{})
	go func() {
		defer close(controller)
		if err := in.controller.Run(background); err != nil {
			failed <- err
		}
	}()
	var observers sync.WaitGroup
	observers.Go(func() { in.rates.Run(background) })
	observers.Go(func() { in.history.Run(background) })
	observers.Go(func() {
		if in.cluster != nil {
			in.cluster.tickets.Follow(background)
		} else {
			tickets.Keep(background, in.tickets.use)
		}
	})
	writers := make(chan struct{})
	go func() {
		defer close(writers)
		if in.cluster != nil {
			in.cluster.write(ctx)
		}
	}()
	issued := make(chan struct{})
	go func() {
		defer close(issued)
		if in.issuing != nil {
			in.issuing.run(ctx)
		}
	}()
	served := make(chan struct{})
	go func() {
		defer close(served)
		select {
		case <-in.firstTable:
		case <-time.After(startGrace):
		case <-ctx.Done():
		}
		if err := in.server.Serve(); err != nil {
			failed <- err
		}
	}()

	var err error
	select {
	case <-ctx.Done():
		in.log.Info("shutting down", zap.Duration("delay", in.shutdownDelay), zap.Duration("drain", in.drainTimeout))
		in.admin.stopping.Store(true)
		if err := in.server.Shutdown(background); err != nil {
			in.log.Warn("drained", zap.Error(err))
		} else {
			in.log.Info("drained: nothing was cut")
		}
	case err = <-failed:
		in.admin.stopping.Store(true)
		in.server.Close()
	}
	stop()
	<-controller
	observers.Wait()
	<-writers
	<-issued
	<-served
	return errors.Join(err, in.close())
}

// close lets go of everything that is open. It is called once, when nothing runs any more.
func (in *instance) close() error {
	if in.server != nil {
		in.server.Close()
	}
	if in.admin != nil {
		_ = in.admin.server.Close()
		_ = in.admin.listener.Close()
	}
	in.pools.Close()
	if in.issuing != nil {
		in.issuing.close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := in.accessLog.Close(ctx); err != nil {
		return fmt.Errorf("access log: %w", err)
	}
	return nil
}

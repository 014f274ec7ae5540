package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.uber.org/zap"
)

// foreignFlag is a flag of ingress-nginx that fairlead has under another name or not at all. Its
// Deployments have them, so they are accepted where that is harmless.
type foreignFlag struct {
	name string
	// harmless is a value that asks for nothing; "*" is any value.
	harmless string
	// why says what there is instead, or why there is no need.
	why string
	// refused: any other value than the harmless one ends the program, as less would be served
	// than was asked for, or more.
	refused bool
	boolean bool
}

var foreignFlags = [...]foreignFlag{
	{name: "annotations-prefix", harmless: "nginx.ingress.kubernetes.io", refused: true, why: "annotations are read under nginx.ingress.kubernetes.io/ and fairlead.dev/"},
	{name: "bucket-factor", why: "the buckets of metrics are fixed"},
	{name: "certificate-authority", refused: true, why: "the authority of the API server stands in the kubeconfig"},
	{name: "deep-inspect", boolean: true, why: "no value is ever made into configuration text"},
	{name: "default-server-port", why: "there is no inner server"},
	{name: "disable-full-test", boolean: true, why: "there is no configuration file to test"},
	{name: "disable-sync-events", boolean: true, harmless: "false", why: "there are no Events for changes without a mistake"},
	{name: "dynamic-configuration-retries", why: "nothing is sent to another process"},
	{name: "enable-annotation-validation", boolean: true, harmless: "true", why: "every value is checked"},
	{name: "enable-metrics", boolean: true, harmless: "true", why: "/metrics is always there"},
	{name: "enable-ssl-chain-completion", boolean: true, harmless: "false", why: "a Secret has its whole chain"},
	{name: "enable-topology-aware-routing", boolean: true, harmless: "false", why: "endpoints of all zones are used"},
	{name: "exclude-socket-metrics", why: "the set of metrics is fixed"},
	{name: "health-check-timeout", why: "health is answered from memory"},
	{name: "internal-logger-address", why: "there is no inner logger"},
	{name: "length-buckets", why: "the buckets of metrics are fixed"},
	{name: "logtostderr", boolean: true, harmless: "true", why: "the log goes to standard error"},
	{name: "max-buckets", why: "the buckets of metrics are fixed"},
	{name: "maxmind-edition-ids", why: "there is no GeoIP"},
	{name: "maxmind-license-key", why: "there is no GeoIP"},
	{name: "maxmind-mirror", why: "there is no GeoIP"},
	{name: "maxmind-retries-count", why: "there is no GeoIP"},
	{name: "maxmind-retries-timeout", why: "there is no GeoIP"},
	{name: "metrics-per-host", boolean: true, harmless: "true", why: "metrics are by route"},
	{name: "metrics-per-undefined-host", boolean: true, harmless: "false", why: "hosts without rules are counted together"},
	{name: "monitor-max-batch-size", why: "metrics are counted in the process itself"},
	{name: "post-shutdown-grace-period", why: "the program ends when all requests have; see --shutdown-delay and --drain-timeout"},
	{name: "profiler-port", why: "profiles are on the admin port with --profiling"},
	{name: "report-node-internal-ip-address", boolean: true, harmless: "false", refused: true, why: "give --publish-service or --publish-status-address"},
	{name: "report-status-classes", boolean: true, harmless: "false", why: "the labels of metrics are fixed"},
	{name: "size-buckets", why: "the buckets of metrics are fixed"},
	{name: "ssl-passthrough-proxy-port", why: "there is no inner proxy"},
	{name: "status-port", why: "there is no inner server"},
	{name: "status-update-interval", why: "status is written when it changes"},
	{name: "stream-port", why: "there is no inner server"},
	{name: "sync-period", why: "watches see every change"},
	{name: "sync-rate-limit", why: "a change is live at once"},
	{name: "tcp-services-configmap", refused: true, why: "only HTTP and HTTPS are served; give the Service a load balancer of its own"},
	{name: "time-buckets", why: "the buckets of metrics are fixed"},
	{name: "udp-services-configmap", refused: true, why: "only HTTP and HTTPS are served; give the Service a load balancer of its own"},
	{name: "v", why: "it is --log-level"},
	{name: "validating-webhook", why: "there is no admission webhook: delete the ValidatingWebhookConfiguration; fairlead check finds mistakes before they are applied"},
	{name: "validating-webhook-certificate", why: "there is no admission webhook"},
	{name: "validating-webhook-key", why: "there is no admission webhook"},
	{name: "watch-namespace-selector", refused: true, why: "give --watch-namespace, or an IngressClass to the Ingresses that are to be served"},
}

// foreign are the values of foreign flags, and of those that only have another name here.
type foreign struct {
	values              [len(foreignFlags)]string
	httpPort, httpsPort int
	healthzPort         int
	healthPath          string // of the admin port, beside /readyz; empty for none
	healthzHost         string
	shutdownGrace       int
	set                 *pflag.FlagSet // nil before register
}

// register adds the flags, hidden from help: docs/flags.md has them.
func (o *foreign) register(f *pflag.FlagSet) {
	o.set = f
	f.IntVar(&o.httpPort, "http-port", 80, "`port` of --http-address")
	f.IntVar(&o.httpsPort, "https-port", 443, "`port` of --https-address")
	f.IntVar(&o.healthzPort, "healthz-port", 10254, "`port` of --admin-address")
	f.StringVar(&o.healthzHost, "healthz-host", "", "`host` of --admin-address")
	f.StringVar(&o.healthPath, "health-check-path", "/healthz", "`path` that answers as /readyz does")
	f.IntVar(&o.shutdownGrace, "shutdown-grace-period", 0, "`seconds` of --shutdown-delay")
	for i := range foreignFlags {
		flag := &foreignFlags[i]
		if flag.name == "v" {
			f.StringVarP(&o.values[i], flag.name, "v", "", flag.why)
		} else {
			f.StringVar(&o.values[i], flag.name, "", flag.why)
		}
		if flag.boolean {
			f.Lookup(flag.name).NoOptDefVal = "true"
		}
	}
	for _, name := range foreignNames() {
		f.Lookup(name).Hidden = true // of what was just registered
	}
}

func foreignNames() []string {
	names := []string{"http-port", "https-port", "healthz-port", "healthz-host", "health-check-path", "shutdown-grace-period"}
	for i := range foreignFlags {
		names = append(names, foreignFlags[i].name)
	}
	return names
}

// applyForeign gives the flags that have another name here to that one, and refuses what must not be
// left out in silence.
func (o *options) applyForeign(bad *mistakes) {
	f := o.foreign.set
	if f == nil {
		return
	}
	port := func(name string, value int, flag string, target *string) {
		switch {
		case !f.Changed(name):
		case f.Changed(flag):
			bad.usage("--%s and --%s both say where to listen: give one", name, flag)
		case value < 0 || value > 65535:
			bad.value(name, strconv.Itoa(value), "a port")
		default:
			*target = ":" + strconv.Itoa(value)
		}
	}
	port("http-port", o.foreign.httpPort, "http-address", &o.httpAddress)
	port("https-port", o.foreign.httpsPort, "https-address", &o.httpsAddress)
	port("healthz-port", o.foreign.healthzPort, "admin-address", &o.adminAddress)
	if host := o.foreign.healthzHost; host != "" && !f.Changed("admin-address") {
		o.adminAddress = host + ":" + strconv.Itoa(o.foreign.healthzPort)
		if strings.Contains(host, ":") {
			o.adminAddress = "[" + host + "]:" + strconv.Itoa(o.foreign.healthzPort)
		}
	}
	if f.Changed("shutdown-grace-period") && !f.Changed("shutdown-delay") {
		o.shutdownDelay = time.Duration(o.foreign.shutdownGrace) * time.Second
	}
	if !healthPath.MatchString(o.foreign.healthPath) {
		bad.value("health-check-path", o.foreign.healthPath, "a path of one element such as /healthz")
	} else if slices.Contains([]string{"/readyz", "/livez", "/metrics"}, o.foreign.healthPath) {
		o.foreign.healthPath = "" // is there
	}
	for i := range foreignFlags {
		if flag := &foreignFlags[i]; flag.refused && o.foreign.asks(i) {
			bad.usage("--%s is not supported: %s", flag.name, flag.why)
		}
	}
}

// healthPath is what --health-check-path may be: no path of the dashboard, and no pattern.
var healthPath = regexp.MustCompile(`^/[a-zA-Z0-9._-]+$`)

// asks reports whether the flag asks for something that is not done.
func (o *foreign) asks(i int) bool {
	return o.values[i] != "" && o.values[i] != foreignFlags[i].harmless
}

// warn logs each flag that was given and does nothing.
func (o *foreign) warn(log *zap.Logger) {
	for i := range foreignFlags {
		if o.asks(i) {
			log.Warn("a flag has no effect", zap.String("flag", "--"+foreignFlags[i].name), zap.String("why", foreignFlags[i].why))
		}
	}
}

// foreignDocument is docs/flags.md.
func foreignDocument() string {
	var b strings.Builder
	b.WriteString(`# Flags of ingress-nginx

<!-- Generated by: go test ./cmd/fairlead -run TestForeignDocument -update. Do not edit. -->

The args of an ingress-nginx Deployment can stay as they are, after ` + "`fairlead serve`" + `. Flags that both have are in
` + "`fairlead serve --help`" + `; ` + "`--http-port`, `--https-port`, `--healthz-port`, `--healthz-host` and `--shutdown-grace-period`" + ` set
the ports of ` + "`--http-address`, `--https-address` and `--admin-address`, the host of the last, and `--shutdown-delay`" + `. ` + "`/healthz`" + `, or
what ` + "`--health-check-path`" + ` says, is ` + "`/readyz`" + `. All others are here: those without effect are a line of the log, those that are refused end the program, as something
else would be served than was asked for.

| flag | outcome | instead |
|---|---|---|
`)
	for i := range foreignFlags {
		flag := &foreignFlags[i]
		outcome := "no effect"
		if flag.refused {
			outcome = "refused"
			if flag.harmless != "" {
				outcome += ", but for `" + flag.harmless + "`"
			}
		}
		fmt.Fprintf(&b, "| `--%s` | %s | %s |\n", flag.name, outcome, flag.why)
	}
	b.WriteString("\nOne default differs: `--update-status-on-shutdown` is false, so that a restart of the last replica does not take the\naddresses, and the DNS names made of them, away.\n")
	return b.String()
}

package main

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/fairlead-ingress/fairlead/proxy"
)

// options are the flags of serve. Those that ingress-nginx has too are named and meant as
// there.
type options struct {
	manifests     string
	kubeconfig    string
	kubeContext   string // of the commands that look at a cluster alone
	apiserverHost string

	httpAddress, httpsAddress, adminAddress string

	ingressClass        string
	controllerClasses   []string
	ingressClassByName  bool
	watchWithoutClass   bool
	watchNamespace      string
	disableCatchAll     bool
	disableExternalName bool
	sslPassthrough      bool
	proxyProtocol       bool

	publishService         string
	publishStatusAddresses []string
	updateStatus           bool
	updateStatusOnShutdown bool
	electionID             string
	electionTTL            time.Duration
	disableLeaderElection  bool
	limitsPerReplica       bool

	defaultSSLCertificate string
	defaultBackendService string
	configMap             string
	quirks                []string

	acme acmeOptions

	trustedProxies []string
	debugClients   []string
	bodyBufferDir  string
	bodyBufferDisk string
	maxConnections int
	shutdownDelay  time.Duration
	drainTimeout   time.Duration

	accessLog string
	logLevel  string
	profiling bool
	engine    string

	foreign foreign
}

func (o *options) register(f *pflag.FlagSet) {
	f.StringVar(&o.manifests, "manifests", "", "serve the YAML `directory`'s objects instead of a cluster's; its files are watched")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "`file` that says how to reach the cluster (default: as a Pod of it)")
	f.StringVar(&o.apiserverHost, "apiserver-host", "", "`URL` of the API server, in place of what the kubeconfig says")

	f.StringVar(&o.httpAddress, "http-address", ":80", "`host:port` for HTTP; port 0 takes a free one and logs it, empty serves none")
	f.StringVar(&o.httpsAddress, "https-address", ":443", "`host:port` for HTTPS; port 0 takes a free one and logs it, empty serves none")
	f.StringVar(&o.adminAddress, "admin-address", ":10254", "`host:port` for health, metrics and debugging; never expose it to clients")

	o.registerTranslation(f)
	f.StringVar(&o.watchNamespace, "watch-namespace", "", "serve this `namespace` only; needs no ClusterRole")

	f.StringVar(&o.publishService, "publish-service", "", "`namespace/name` of the Service whose addresses are written to the status of Ingresses")
	f.StringSliceVar(&o.publishStatusAddresses, "publish-status-address", nil, "`addresses` to write to the status of Ingresses, in place of a Service's")
	f.BoolVar(&o.updateStatus, "update-status", true, "write addresses to the status of Ingresses")
	f.BoolVar(&o.updateStatusOnShutdown, "update-status-on-shutdown", false, "remove the addresses when the leader shuts down")
	f.StringVar(&o.electionID, "election-id", "", "`name` of the Lease that elects the writer of status and Events (default: from the class)")
	f.DurationVar(&o.electionTTL, "election-ttl", 15*time.Second, "how long a leader that is gone keeps the Lease")
	f.BoolVar(&o.disableLeaderElection, "disable-leader-election", false, "write without election: for a single replica")
	f.BoolVar(&o.limitsPerReplica, "limits-per-replica", false, "each replica allows all of a limit, also in the spec profile, where it is else divided by\nthe ready endpoints of --publish-service")

	o.acme.register(f)

	f.StringSliceVar(&o.trustedProxies, "trusted-proxies", nil, "`CIDRs` of the proxies in front of us whose X-Forwarded-* headers are believed")
	f.StringSliceVar(&o.debugClients, "debug-header-cidrs", nil, "`CIDRs` of the clients that are told what becomes of a request with X-Fairlead-Debug: 1 (default: nobody)")
	f.StringVar(&o.bodyBufferDir, "body-buffer-dir", "", "`directory` for what proxy-request-buffering does not hold in memory (default: the system's for temporary files)")
	f.StringVar(&o.bodyBufferDisk, "body-buffer-disk", "1Gi", "`size` that the files of all bodies may have together; the rest is streamed, all of it with 0")
	f.IntVar(&o.maxConnections, "max-connections", 0, "`number` of connections that clients may have, on both ports together; more wait until one is closed,\nand those without a request make room (default: 45 % of the open files that the process may have)")
	f.DurationVar(&o.shutdownDelay, "shutdown-delay", 10*time.Second, "how long connections are accepted after a shutdown was asked for")
	f.DurationVar(&o.drainTimeout, "drain-timeout", 240*time.Second, "how long requests may then take before they are cut")

	f.StringVar(&o.accessLog, "access-log", "json", "`format` of the access log on standard output: json, nginx or off")
	f.StringVar(&o.logLevel, "log-level", "info", "`level` of the log on standard error: debug, info, warn or error")
	f.StringVar(&o.engine, "engine", string(proxy.HTTP1), "`implementation` of HTTP/1 on the data ports: http1, or net/http to compare with")
	o.foreign.register(f)
	f.BoolVar(&o.profiling, "profiling", false, "serve /debug/pprof on the admin port")
}

// registerTranslation registers the flags that decide what objects mean.
func (o *options) registerTranslation(f *pflag.FlagSet) {
	f.StringVar(&o.ingressClass, "ingress-class", "fairlead", "`name` in the annotation kubernetes.io/ingress.class that is ours")
	f.StringSliceVar(&o.controllerClasses, "controller-class", nil, "spec.controller `values` of the IngressClasses that are ours\n(default fairlead.dev/ingress-controller,k8s.io/ingress-nginx)")
	f.BoolVar(&o.ingressClassByName, "ingress-class-by-name", false, "also serve the IngressClass named by --ingress-class, whatever its controller")
	f.BoolVar(&o.watchWithoutClass, "watch-ingress-without-class", false, "also serve Ingresses that name no class")
	f.BoolVar(&o.disableCatchAll, "disable-catch-all", false, "refuse Ingresses that would answer for every host")
	f.BoolVar(&o.disableExternalName, "disable-svc-external-name", false, "refuse Services of type ExternalName")
	f.BoolVar(&o.proxyProtocol, "use-proxy-protocol", false, "want a PROXY header at the beginning of every connection, as the key of the ConfigMap does; connections of others than\n--trusted-proxies and the proxy-real-ip-cidr of the ConfigMap (by default private addresses) are closed")
	f.BoolVar(&o.sslPassthrough, "enable-ssl-passthrough", false, "hand TLS connections on undecrypted where the annotation ssl-passthrough asks for it")
	f.StringVar(&o.configMap, "configmap", "", "`namespace/name` of the ConfigMap with the settings of all Ingresses; fairlead settings lists its keys")
	f.StringSliceVar(&o.quirks, "quirk", nil, "`name=on|off` switches a behaviour in which the profiles differ, for Ingresses of both;\ndocs/quirks.md lists them, /debug/quirks what depends on them")
	o.acme.registerTranslation(f)
	f.StringVar(&o.defaultSSLCertificate, "default-ssl-certificate", "", "`namespace/name` of the TLS Secret for hosts without one (default: generated)")
	f.StringVar(&o.defaultBackendService, "default-backend-service", "", "`namespace/name` or namespace/name:port of the Service for what no rule matches (default: 404)")
}

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/fairlead-ingress/fairlead/k8s/explain"
	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/k8s/manifest"
)

// looking are the flags of the commands that look at a configuration.
type looking struct {
	options
	admin               string
	output              string
	controllerNamespace string
	controllerSelector  string
}

func (l *looking) register(c *cobra.Command) {
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&l.manifests, "manifests", "", "look at the YAML `directory`'s objects")
	f.StringVar(&l.kubeconfig, "kubeconfig", "", "look at the cluster that this `file` says how to reach (default: as kubectl, KUBECONFIG or ~/.kube/config)")
	f.StringVar(&l.kubeContext, "context", "", "`name` of the kubeconfig's context (default: the current one)")
	f.StringVar(&l.apiserverHost, "apiserver-host", "", "`URL` of the API server, in place of what the kubeconfig says")
	f.StringVar(&l.watchNamespace, "watch-namespace", "", "look at this `namespace` of the cluster only, as a controller with that flag does")
	f.StringVar(&l.admin, "admin", "", "ask the running instance with this `URL` of its admin port")
	f.StringVarP(&l.output, "output", "o", "text", "`format`: text or json")
	f.StringVar(&l.controllerNamespace, "controller-namespace", "", "`namespace` of the controller's Pods (default: that of --watch-namespace, else fairlead)")
	f.StringVar(&l.controllerSelector, "controller-selector", "app.kubernetes.io/name=fairlead", "`labels` of the controller's Pods")
	l.registerTranslation(f)
}

// check reads the flags' values.
func (l *looking) check() (settings, explain.Controller, error) {
	s := settings{options: l.options}
	var bad mistakes
	if l.acme.on && s.acme.namespace == "" {
		s.acme.namespace = l.controllerNamespace
	}
	s.checkTranslation(&bad)
	s.checkSource(&bad)
	sources := 0
	for _, set := range []bool{l.manifests != "", l.kubeconfig != "" || l.kubeContext != "" || l.apiserverHost != "", l.admin != ""} {
		if set {
			sources++
		}
	}
	if sources > 1 {
		bad.usage("--manifests, --kubeconfig (or --context) and --admin each say where to look: give one")
	}
	if l.watchNamespace != "" && (l.manifests != "" || l.admin != "") {
		bad.usage("--watch-namespace is for a cluster, not for --manifests or --admin")
	}
	if l.output != "text" && l.output != "json" {
		bad.value("output", l.output, "text or json")
	}
	set, err := labels.ConvertSelectorToLabelsMap(l.controllerSelector)
	if err != nil {
		bad.value("controller-selector", l.controllerSelector, "labels such as app.kubernetes.io/name=fairlead")
	}
	return s, explain.Controller{Namespace: cmp.Or(l.controllerNamespace, l.watchNamespace, "fairlead"), Labels: set}, errors.Join(bad...)
}

// state reads the objects and makes of them what would serve.
func (l *looking) state(ctx context.Context, s settings, c explain.Controller) (explain.State, func(), error) {
	if l.manifests == "" {
		return clusterState(ctx, s, c)
	}
	m, err := manifest.Load(l.manifests)
	if err != nil {
		return explain.State{}, nil, err
	}
	found := m.Problems()
	extra := make([]ingress.Problem, len(found))
	for i, p := range found {
		extra[i] = p.Problem
	}
	state, done := explain.Offline(m.Snapshot(), s.translation(), extra)
	state.Controller = c
	return state, done, nil
}

// asking are the flags that describe the request.
type asking struct {
	looking
	method   string
	headers  []string
	clientIP string
	resolve  []string
	probe    bool
}

func explainCommand() *cobra.Command {
	var a asking
	c := &cobra.Command{
		Use:   "explain URL",
		Short: "Say why a URL does what it does, and what is wrong first",
		Long: `Say why a URL does what it does: every decision from the client to the Pod, in order,
and the first that is broken with what to do about it.

The objects are those of --manifests DIR, of a running instance (--admin URL), or of a
cluster: that of --kubeconfig, the one this runs in, or that of kubectl. The exit status is 0 when the
URL does what was configured, 1 when something is broken, 2 for a wrong command line.`,
		Example: `  fairlead explain --manifests ./manifests https://shop.example/cart
  fairlead explain --admin http://127.0.0.1:10254 http://shop.example/ -o json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("explain: want one URL")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return a.run(c.Context(), args[0], c.OutOrStdout())
		},
	}
	a.register(c)
	f := c.Flags()
	f.StringVarP(&a.method, "request", "X", "GET", "`method` of the request")
	f.StringArrayVarP(&a.headers, "header", "H", nil, "`header` of the request, as 'name: value'; may be repeated")
	f.StringVar(&a.clientIP, "client-ip", "", "`address` of the other end of the connection")
	f.StringArrayVar(&a.resolve, "resolve", nil, "`HOST:PORT:ADDR`: the DNS answer to assume, as curl takes it")
	f.BoolVar(&a.probe, "probe", false, "also look the name up and connect to the endpoints, from here")
	return c
}

func (a *asking) run(ctx context.Context, text string, w io.Writer) error {
	s, controller, err := a.check()
	q, bad := a.question(text)
	if bad != nil {
		bad = usageError{bad}
	}
	if err := errors.Join(err, bad); err != nil {
		return err
	}
	var e *explain.Explanation
	if a.admin != "" {
		e, err = askInstance(ctx, a.admin, a.query(text))
	} else {
		var state explain.State
		var done func()
		if state, done, err = a.state(ctx, s, controller); err == nil {
			defer done()
			e = explainWith(ctx, explain.New(state), q, a.probe, false)
		}
	}
	if err != nil {
		return err
	}
	if err := writeOutput(w, a.output, e, e.WriteText); err != nil {
		return err
	}
	if e.FirstBroken != nil {
		return errSilent
	}
	return nil
}

// question reads what is asked about. Its error has all mistakes.
func (a *asking) question(text string) (explain.Question, error) {
	u, err := explain.ParseURL(text)
	if err != nil {
		return explain.Question{}, err
	}
	q := explain.Question{Method: a.method, URL: u, Header: make(http.Header)}
	var bad []error
	if !validMethod(a.method) {
		bad = append(bad, fmt.Errorf("--request: %q is no method", a.method))
	}
	for _, h := range a.headers {
		name, value, ok := strings.Cut(h, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			bad = append(bad, fmt.Errorf("--header: %q is not 'name: value'", h))
			continue
		}
		q.Header.Add(name, strings.TrimSpace(value))
	}
	if a.clientIP != "" {
		if q.ClientIP, err = netip.ParseAddr(a.clientIP); err != nil {
			bad = append(bad, fmt.Errorf("--client-ip: %q is not an address", a.clientIP))
		}
	}
	for _, r := range a.resolve {
		host, port, answer, err := assumed(r)
		if err != nil {
			bad = append(bad, err)
		} else if strings.EqualFold(host, u.Hostname()) && (port == "*" || port == portOf(u)) {
			q.Answer = answer
		}
	}
	return q, errors.Join(bad...)
}

// assumed reads a value of --resolve.
func assumed(text string) (host, port string, answer *explain.Answer, err error) {
	host, rest, ok := strings.Cut(text, ":")
	port, list, ok2 := strings.Cut(rest, ":")
	if !ok || !ok2 || host == "" {
		return "", "", nil, fmt.Errorf("--resolve: %q is not HOST:PORT:ADDR", text)
	}
	answer = &explain.Answer{Assumed: true}
	for text := range strings.SplitSeq(list, ",") {
		addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
		if err != nil {
			return "", "", nil, fmt.Errorf("--resolve: %q is not an address", text)
		}
		answer.Addresses = append(answer.Addresses, addr)
	}
	return host, port, answer, nil
}

func validMethod(m string) bool {
	return m != "" && strings.Trim(m, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-") == ""
}

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// query is the question as /debug/explain takes it.
func (a *asking) query(text string) url.Values {
	v := url.Values{"url": {text}, "method": {a.method}, "header": a.headers, "resolve": a.resolve}
	if a.clientIP != "" {
		v.Set("client-ip", a.clientIP)
	}
	if a.probe {
		v.Set("probe", "true")
	}
	if a.controllerNamespace != "" { // else the instance's own
		v.Set("controller-namespace", a.controllerNamespace)
	}
	v.Set("controller-selector", a.controllerSelector)
	return v
}

// askInstance asks a running instance.
func askInstance(ctx context.Context, admin string, query url.Values) (*explain.Explanation, error) {
	if !strings.Contains(admin, "://") {
		admin = "http://" + admin
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	method := http.MethodGet
	if query.Has("probe") {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(admin, "/")+"/debug/explain?"+query.Encode(), nil)
	if err != nil {
		return nil, usageError{fmt.Errorf("--admin: %w", err)}
	}
	client := &http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext}}
	defer client.CloseIdleConnections()
	resp, err := client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("instance: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return nil, fmt.Errorf("instance: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("instance: %s: %s", resp.Status, strings.TrimSpace(string(body)))
	}
	e := new(explain.Explanation)
	if err := json.Unmarshal(body, e); err != nil {
		return nil, fmt.Errorf("instance: answer to /debug/explain: %w", err)
	}
	return e, nil
}

// writeOutput writes v as JSON, or as text in colours on a terminal.
func writeOutput(w io.Writer, output string, v any, text func(io.Writer, bool) error) error {
	if output == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	}
	return text(w, isTerminal(w))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

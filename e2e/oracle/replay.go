package oracle

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Manifests returns the objects of c as a file, with a namespace's worth of what a cluster would add.
// age counts the Ingresses of all cases: the first is the oldest.
func (b *Backends) Manifests(c *Case, age *int) ([]byte, error) {
	var out strings.Builder
	write := func(o any) error {
		text, err := json.Marshal(o)
		if err != nil {
			return err
		}
		out.WriteString("---\n" + b.locate(c, string(text)) + "\n")
		return nil
	}
	for _, o := range c.Objects {
		metadata, ok := o["metadata"].(map[string]any)
		if !ok {
			return nil, fmt.Errorf("case %s: an object without metadata", c.Name)
		}
		switch o["kind"] {
		case "Ingress":
			*age++
			metadata["creationTimestamp"] = time.Unix(1_700_000_000+int64(*age), 0).UTC().Format(time.RFC3339)
		case "Service":
			slice, err := b.slice(c, o)
			if err != nil {
				return nil, err
			}
			if slice != nil {
				if err := write(slice); err != nil {
					return nil, err
				}
			}
		}
		if err := write(o); err != nil {
			return nil, err
		}
	}
	return []byte(out.String()), nil
}

// namespace is where what c asks for is seen.
func (c *Case) namespace() string { return "case-" + c.Name }

// locate puts addresses in place of the names that the corpus has for services outside.
func (b *Backends) locate(c *Case, text string) string {
	auth := b.Address(c.namespace(), authService, "auth")
	alt := b.Address(c.namespace(), "alt", "alt-1")
	return strings.NewReplacer(
		"auth.backends.example:9000", net.JoinHostPort(auth.String(), fmt.Sprint(b.Plain)),
		"gone.backends.example:9000", net.JoinHostPort(auth.String(), fmt.Sprint(b.Refused)),
		"alt.backends.example:8080", net.JoinHostPort(alt.String(), fmt.Sprint(b.Plain)),
	).Replace(text)
}

// slice is the EndpointSlices of a Service; nil for none.
func (b *Backends) slice(c *Case, service Object) (any, error) {
	name, namespace := service.str("metadata", "name"), service.str("metadata", "namespace")
	metadata, _ := service["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	words, _ := annotations["corpus/backends"].(string)
	spec, _ := service["spec"].(map[string]any)
	ports, _ := spec["ports"].([]any)
	if words == "" {
		return nil, nil
	}
	var items []any
	for _, word := range strings.FieldsFunc(words, func(r rune) bool { return r == ' ' || r == ',' }) {
		var list []any
		for _, p := range ports {
			port, _ := p.(map[string]any)
			number := b.Plain
			if fmt.Sprint(port["targetPort"]) == "8443" {
				number = b.Secure
			}
			if strings.HasPrefix(word, "gone-") {
				number = b.Refused
			}
			list = append(list, map[string]any{"name": port["name"], "port": number, "protocol": "TCP"})
		}
		items = append(items, map[string]any{
			"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "ports": list,
			"metadata":  map[string]any{"name": name + "-" + word, "namespace": namespace, "labels": map[string]any{"kubernetes.io/service-name": name}},
			"endpoints": []any{map[string]any{"addresses": []string{b.Address(c.namespace(), name, word).String()}, "conditions": map[string]any{"ready": true}}},
		})
	}
	return map[string]any{"apiVersion": "v1", "kind": "List", "items": items}, nil
}

// class is the IngressClass of the corpus.
const class = `apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: nginx}
spec: {controller: k8s.io/ingress-nginx}
`

// Settings names the ConfigMap that WriteManifests writes for the cases.
func Settings(cases []*Case) string { return cases[0].namespace() + "/the-settings" }

// WriteManifests writes the files that a replay of cases serves to dir. All cases have the same
// ConfigMap, and there is one at least.
func (b *Backends) WriteManifests(dir string, cases []*Case) error {
	if err := os.WriteFile(filepath.Join(dir, "class.yaml"), []byte(class), 0o600); err != nil {
		return err
	}
	settings := "{}"
	if len(cases[0].ConfigMap) > 0 {
		data, err := json.Marshal(cases[0].ConfigMap)
		if err != nil {
			return err
		}
		settings = b.locate(cases[0], string(data))
	}
	text := "apiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: " + cases[0].namespace() + ", name: the-settings}\ndata: " + settings + "\n"
	if err := os.WriteFile(filepath.Join(dir, "the-settings.yaml"), []byte(text), 0o600); err != nil {
		return err
	}
	age := 0
	for _, c := range cases {
		text, err := b.Manifests(c, &age)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, c.Name+".yaml"), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Replay sends the requests of c and returns the differences of each exchange.
func (b *Backends) Replay(c *Case, httpAddr, httpsAddr string) ([][]string, error) {
	_, httpPort, err := net.SplitHostPort(httpAddr)
	if err != nil {
		return nil, err
	}
	_, httpsPort, err := net.SplitHostPort(httpsAddr)
	if err != nil {
		return nil, err
	}
	p := &place{httpPort: httpPort, httpsPort: httpsPort, backends: b, secrets: c.certificates()}
	b.Take(c.namespace())
	all := make([][]string, len(c.Exchanges))
	for i := range c.Exchanges {
		e := &c.Exchanges[i]
		if i > 0 && strings.HasPrefix(c.Name, "limit-") {
			<-time.After(600 * time.Millisecond) // the budget comes back with time; as recorded
		}
		seen, err := b.exchange(c, e, httpAddr, httpsAddr)
		if err != nil {
			return nil, fmt.Errorf("exchange %d: %w", i+1, err)
		}
		all[i] = p.Compare(e, seen)
	}
	return all, nil
}

// certificates are the common names in the case's records, but for that of the generated one.
func (c *Case) certificates() []string {
	var names []string
	for _, e := range c.Exchanges {
		if cert := e.Response.Certificate; cert != nil && !strings.Contains(cert.CN, "Fake Certificate") {
			names = append(names, cert.CN)
		}
	}
	return names
}

func (b *Backends) exchange(c *Case, e *Exchange, httpAddr, httpsAddr string) (*Seen, error) {
	seen := &Seen{Answers: make([]*Answer, max(e.Repeat, 1))}
	errs := make([]error, len(seen.Answers))
	var wg sync.WaitGroup
	cookie := ""
	for i := range seen.Answers {
		if e.Parallel {
			wg.Go(func() { seen.Answers[i], errs[i] = Send(&e.Request, httpAddr, httpsAddr, "") })
			continue
		}
		a, err := Send(&e.Request, httpAddr, httpsAddr, cookie)
		if seen.Answers[i], errs[i] = a, err; err != nil {
			break
		}
		if set := a.Header["Set-Cookie"]; e.Keep && len(set) > 0 {
			cookie, _, _ = strings.Cut(set[0], ";")
		}
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	deliveries := b.Take(c.namespace())
	if e.Upstream != nil && len(e.Upstream.Others) > 0 {
		// Copies come when they come.
		for deadline := time.Now().Add(5 * time.Second); len(deliveries) <= len(e.Upstream.Others) && time.Now().Before(deadline); {
			<-time.After(5 * time.Millisecond)
			deliveries = append(deliveries, b.Take(c.namespace())...)
		}
	}
	for _, d := range deliveries {
		if d.Service == authService {
			seen.Auth = append(seen.Auth, d)
		} else {
			seen.Deliveries = append(seen.Deliveries, d)
		}
	}
	return seen, nil
}

package site

import (
	"bytes"
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"sigs.k8s.io/yaml"
)

// The annotations that a script's objects carry for the runner.
const (
	backendsKey         = "e2e/backends"          // of a Service: names, each with "=CONDITION" if it is not just ready
	certificateKey      = "e2e/certificate"       // of a Secret: DNS names
	certificateFaultKey = "e2e/certificate-fault" // of a Secret: expired, mismatch or junk
	certificateRSAKey   = "e2e/certificate-rsa"   // of a Secret: "true"
	certificateCAKey    = "e2e/certificate-ca"    // of a Secret: own or other
)

// Listener finds the address of a backend, and starts it when it is not there yet. A nil
// error comes with an address that is valid for the life of the site.
type Listener func(id BackendID) (netip.AddrPort, error)

// BackendID is one port of one backend.
type BackendID struct {
	Namespace, Name string
	Port            string // the Service port's name
	Protocol        string // appProtocol of the Service port
	Refuses         bool   // nothing listens at the address
}

// Order asks for a backend of another process, with what it shows in handshakes, as PEM.
type Order struct {
	ID               BackendID
	Certificate, Key []byte
}

// object is the part of an API object that the runner looks at.
type object struct {
	Kind     string
	Metadata struct {
		Name, Namespace, CreationTimestamp string
		Annotations                        map[string]string
	}
	Spec struct {
		Ports []struct{ Name, AppProtocol string }
	}
}

var separator = regexp.MustCompile(`(?m)^---[ \t]*\n`)

// Complete adds what a script leaves to the runner: EndpointSlices for Services that name
// backends, and the content of Secrets that name a certificate. Text that is no YAML passes
// unchanged: a script may be about it.
func Complete(text []byte, listen Listener, ca *Authority) ([]byte, error) {
	return complete(text, ca, func(doc string, o *object, more *bytes.Buffer) (string, error) {
		return doc, writeSlices(more, o, listen)
	})
}

// CompletePods is the same for a cluster that runs Pods: a Service that names backends gets a
// selector, and each of them is a Pod of image, which has to answer on port 8080 as its host
// name. Such Services can say nothing of their backends' conditions and ports.
func CompletePods(text []byte, image string, ca *Authority) ([]byte, error) {
	return complete(text, ca, func(doc string, o *object, more *bytes.Buffer) (string, error) {
		return writePods(more, doc, o, image)
	})
}

// complete writes the documents of text as they come, Secrets with their content and Services with
// backends as the function returns them, and then what that has written to its buffer.
func complete(text []byte, ca *Authority, service func(doc string, o *object, more *bytes.Buffer) (string, error)) ([]byte, error) {
	var out, more bytes.Buffer
	for i, doc := range separator.Split(string(text), -1) {
		if i > 0 {
			out.WriteString("---\n")
		}
		var o object
		if yaml.Unmarshal([]byte(doc), &o) != nil {
			out.WriteString(doc)
			continue
		}
		var err error
		switch {
		case o.Kind == "Service" && o.Metadata.Annotations[backendsKey] != "":
			doc, err = service(doc, &o, &more)
		case o.Kind == "Secret" && o.Metadata.Annotations[certificateKey] != "":
			doc, err = fillSecret(doc, &o, ca)
		}
		if err != nil {
			return nil, err
		}
		out.WriteString(doc)
	}
	if more.Len() > 0 && !bytes.HasSuffix(out.Bytes(), []byte("\n")) {
		out.WriteByte('\n')
	}
	out.Write(more.Bytes())
	return out.Bytes(), nil
}

// Ref names an object.
type Ref struct{ Kind, Namespace, Name string }

// Document is one object of a text.
type Document struct {
	Ref
	Created string // what it says of when it was made; empty if nothing
	Text    string
}

// Documents are the objects of a text, in its order. What is no YAML has none.
func Documents(text []byte) []Document {
	var all []Document
	for _, doc := range separator.Split(string(text), -1) {
		var o object
		if yaml.Unmarshal([]byte(doc), &o) == nil && o.Kind != "" {
			m := o.Metadata
			all = append(all, Document{Ref{o.Kind, m.Namespace, m.Name}, m.CreationTimestamp, doc})
		}
	}
	return all
}

// writeSlices writes one EndpointSlice for each backend: on loopback every endpoint has
// ports of its own, and a slice has one port for each name.
func writeSlices(out *bytes.Buffer, o *object, listen Listener) error {
	for _, word := range strings.Fields(o.Metadata.Annotations[backendsKey]) {
		name, condition, _ := strings.Cut(word, "=")
		conditions, ok := conditionsOf[condition]
		if !ok {
			return fmt.Errorf("Service %s: backend %s: want a condition of ready, unset, unready, terminating or refused, got %q", o.Metadata.Name, name, condition)
		}
		fmt.Fprintf(out, "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: %s-%s\n", o.Metadata.Name, name)
		if o.Metadata.Namespace != "" {
			fmt.Fprintf(out, "  namespace: %s\n", o.Metadata.Namespace)
		}
		fmt.Fprintf(out, "  labels: {kubernetes.io/service-name: %s}\naddressType: IPv4\nports:\n", o.Metadata.Name)
		var address netip.Addr
		for _, p := range o.Spec.Ports {
			at, err := listen(BackendID{o.Metadata.Namespace, name, p.Name, p.AppProtocol, condition == "refused"})
			if err != nil {
				return err
			}
			address = at.Addr()
			fmt.Fprintf(out, "- {name: %q, port: %d, protocol: TCP}\n", p.Name, at.Port())
		}
		if !address.IsValid() {
			return fmt.Errorf("Service %s: want at least one port for its backends, got none", o.Metadata.Name)
		}
		fmt.Fprintf(out, "endpoints:\n- addresses: [%q]\n  conditions: %s\n", address, conditions)
	}
	return nil
}

var conditionsOf = map[string]string{
	"":            "{ready: true, serving: true, terminating: false}",
	"ready":       "{ready: true, serving: true, terminating: false}",
	"refused":     "{ready: true, serving: true, terminating: false}",
	"unset":       "{}",
	"unready":     "{ready: false, serving: false, terminating: false}",
	"terminating": "{ready: false, serving: true, terminating: true}",
}

func writePods(out *bytes.Buffer, doc string, o *object, image string) (string, error) {
	for _, p := range o.Spec.Ports {
		if p.AppProtocol != "" {
			return "", fmt.Errorf("Service %s: want ports without appProtocol for backends that are Pods, got %q", o.Metadata.Name, p.AppProtocol)
		}
	}
	for _, name := range strings.Fields(o.Metadata.Annotations[backendsKey]) {
		if strings.Contains(name, "=") {
			return "", fmt.Errorf("Service %s: want backends without conditions where they are Pods, got %q", o.Metadata.Name, name)
		}
		fmt.Fprintf(out, podText, name, o.Metadata.Namespace, o.Metadata.Name, image)
	}
	var all map[string]any
	if err := yaml.Unmarshal([]byte(doc), &all); err != nil {
		return "", err
	}
	spec, ok := all["spec"].(map[string]any)
	if !ok {
		return "", fmt.Errorf("Service %s: want a spec", o.Metadata.Name)
	}
	spec["selector"] = map[string]string{PodLabel: o.Metadata.Name}
	selecting, err := yaml.Marshal(all)
	return string(selecting), err
}

// PodLabel is the label of Pods that CompletePods makes, with the name of their Service.
const PodLabel = "e2e/service"

const podText = `---
apiVersion: v1
kind: Pod
metadata: {name: %[1]s, namespace: %[2]q, labels: {e2e/service: %[3]s}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: web
    image: %[4]s
    ports: [{containerPort: 8080}]
    readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1, timeoutSeconds: 10}
`

func fillSecret(doc string, o *object, ca *Authority) (string, error) {
	notes := o.Metadata.Annotations
	cert, key, err := ca.Issue(Request{
		Names: strings.Fields(notes[certificateKey]),
		RSA:   notes[certificateRSAKey] == "true",
		Fault: notes[certificateFaultKey],
	})
	if err != nil {
		return "", fmt.Errorf("Secret %s: %w", o.Metadata.Name, err)
	}
	var all map[string]any
	if err := yaml.Unmarshal([]byte(doc), &all); err != nil {
		return "", err
	}
	data := map[string][]byte{"tls.crt": cert, "tls.key": key}
	switch notes[certificateCAKey] {
	case "":
	case "own":
		data["ca.crt"] = encode("CERTIFICATE", ca.cert.Raw)
	case "other":
		other, err := NewAuthority()
		if err != nil {
			return "", err
		}
		data["ca.crt"] = encode("CERTIFICATE", other.cert.Raw)
	default:
		return "", fmt.Errorf("Secret %s: %s: want own or other, got %q", o.Metadata.Name, certificateCAKey, notes[certificateCAKey])
	}
	all["data"] = data
	filled, err := yaml.Marshal(all)
	return string(filled), err
}

// Package k8stest makes the inputs of tests: Snapshots from YAML or by the thousand,
// certificates from a line of text, and golden files.
package k8stest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// Parse makes a Snapshot of YAML documents with Ingresses, IngressClasses, Services,
// EndpointSlices and Secrets. It does not default or validate as the API server does, except
// that objects without namespace are in "default". apiVersion may be left out, an unknown
// field is an error. Of two objects of one kind and name the later counts. The stringData of
// a Secret becomes its data, and an entry "certificate" of it a key pair: see KeyPair.
func Parse(text []byte) (*ingress.Snapshot, error) {
	p := parser{
		ingresses: make(map[types.NamespacedName]*netv1.Ingress),
		classes:   make(map[types.NamespacedName]*netv1.IngressClass),
		slices:    make(map[types.NamespacedName]*discoveryv1.EndpointSlice),
		pairs:     make(map[string][2][]byte),
		snapshot: &ingress.Snapshot{
			Services:   make(map[types.NamespacedName]*corev1.Service),
			Slices:     make(map[types.NamespacedName][]*discoveryv1.EndpointSlice),
			Secrets:    make(map[types.NamespacedName]*corev1.Secret),
			ConfigMaps: make(map[types.NamespacedName]*corev1.ConfigMap),
		},
	}
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for i := 1; ; i++ {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = p.object(document)
		}
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", i, err)
		}
	}
	return p.finish(), nil
}

type parser struct {
	ingresses map[types.NamespacedName]*netv1.Ingress
	classes   map[types.NamespacedName]*netv1.IngressClass
	slices    map[types.NamespacedName]*discoveryv1.EndpointSlice
	pairs     map[string][2][]byte
	snapshot  *ingress.Snapshot
}

func (p *parser) object(document []byte) error {
	var meta metav1.TypeMeta
	if err := yaml.Unmarshal(document, &meta); err != nil {
		return err
	}
	switch meta.Kind {
	case "":
		if len(bytes.TrimSpace(document)) > 0 && !onlyComments(document) {
			return errors.New("no kind")
		}
		return nil
	case "Ingress":
		return put(p.ingresses, document, new(netv1.Ingress))
	case "IngressClass":
		return put(p.classes, document, new(netv1.IngressClass))
	case "Service":
		return put(p.snapshot.Services, document, new(corev1.Service))
	case "EndpointSlice":
		return put(p.slices, document, new(discoveryv1.EndpointSlice))
	case "ConfigMap":
		return put(p.snapshot.ConfigMaps, document, new(corev1.ConfigMap))
	case "Secret":
		secret := new(corev1.Secret)
		if err := put(p.snapshot.Secrets, document, secret); err != nil {
			return err
		}
		return p.secret(secret)
	}
	return fmt.Errorf("kind %q is not known here", meta.Kind)
}

func put[T metav1.Object](objects map[types.NamespacedName]T, document []byte, object T) error {
	if err := yaml.UnmarshalStrict(document, object); err != nil {
		return err
	}
	if _, cluster := any(object).(*netv1.IngressClass); object.GetNamespace() == "" && !cluster {
		object.SetNamespace("default")
	}
	objects[types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}] = object
	return nil
}

func (p *parser) secret(s *corev1.Secret) error {
	if s.Data == nil {
		s.Data = make(map[string][]byte, len(s.StringData))
	}
	for name, value := range s.StringData {
		if name != "certificate" {
			s.Data[name] = []byte(value)
			continue
		}
		pair, ok := p.pairs[value]
		if !ok {
			crt, key, err := KeyPair(value)
			if err != nil {
				return err
			}
			pair = [2][]byte{crt, key}
			p.pairs[value] = pair
		}
		s.Data[corev1.TLSCertKey], s.Data[corev1.TLSPrivateKeyKey] = pair[0], pair[1]
	}
	s.StringData = nil
	return nil
}

func (p *parser) finish() *ingress.Snapshot {
	s := p.snapshot
	for _, ing := range p.ingresses {
		s.Ingresses = append(s.Ingresses, ing)
	}
	for _, class := range p.classes {
		s.Classes = append(s.Classes, class)
	}
	for _, slice := range p.slices {
		if service := slice.Labels[discoveryv1.LabelServiceName]; service != "" {
			name := types.NamespacedName{Namespace: slice.Namespace, Name: service}
			s.Slices[name] = append(s.Slices[name], slice)
		}
	}
	return s
}

func onlyComments(document []byte) bool {
	for line := range bytes.Lines(document) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' && !bytes.Equal(line, []byte("---")) {
			return false
		}
	}
	return true
}

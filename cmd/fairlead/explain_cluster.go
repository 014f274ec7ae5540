package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"
	netv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/fairlead-ingress/fairlead/k8s"
	"github.com/fairlead-ingress/fairlead/k8s/explain"
	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// loadTime bounds how long a cluster may take to tell its objects, and failTime how long it may refuse to:
// whoever waits for an answer is better told.
const (
	loadTime = 30 * time.Second
	failTime = 2 * time.Second
)

// clusterState reads a cluster once.
func clusterState(ctx context.Context, s settings, c explain.Controller) (explain.State, func(), error) {
	config, err := k8s.UserConfig(s.kubeconfig, s.kubeContext, s.apiserverHost)
	if err != nil {
		return explain.State{}, nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return explain.State{}, nil, fmt.Errorf("API client: %w", err)
	}
	var issued *k8s.IssuedOptions
	if s.acme.on {
		class := k8s.ControllerClass
		if len(s.controllerClasses) > 0 {
			class = s.controllerClasses[0]
		}
		issued = &k8s.IssuedOptions{Namespace: s.acme.storedIn(), Owner: k8s.ACMELeaseName(k8s.LeaseName(class))}
	}
	source := k8s.NewCluster(k8s.ClusterOptions{
		Client: client, Namespace: s.watchNamespace, DefaultCertificate: s.defaultCert, ConfigMap: s.config, Log: zap.NewNop(),
		AssumedClass:   s.assumedClass(),
		Issued:         issued,
		DefaultBackend: types.NamespacedName{Namespace: s.defaultBackend.Namespace, Name: s.defaultBackend.Service},
	})
	ctx, cancel := context.WithTimeout(ctx, loadTime)
	defer cancel()
	loaded := make(chan struct{}, 1)
	ended := make(chan error, 1)
	run, stop := context.WithCancel(ctx)
	go func() {
		ended <- source.Run(run, func(types.NamespacedName) {
			select {
			case loaded <- struct{}{}:
			default:
			}
		})
	}()
	defer func() {
		stop()
		<-ended //nolint:errcheck // what was read is all that matters
	}()
	failing := time.NewTicker(failTime)
	defer failing.Stop()
	for source.Snapshot() == nil {
		select {
		case <-loaded:
		case <-failing.C:
			if err := unread(source.Missing()); err != nil {
				return explain.State{}, nil, err
			}
		case <-ctx.Done():
			return explain.State{}, nil, cmp.Or(unread(source.Missing()), errors.New("cluster: its objects could not be read in "+loadTime.String()))
		}
	}
	snapshot := *source.Snapshot()
	snapshot.Around = readAround(ctx, client, s.watchNamespace, c.Namespace)
	snapshot.Around.Refused = refusedTo(ctx, client, c.Account(snapshot.Around.Pods), s.watchNamespace)
	state, done := explain.Offline(&snapshot, s.translation(), nil)
	state.Controller, state.OnlyNamespace = c, s.watchNamespace
	return state, done, nil
}

// unread says why kinds could not be read: each that is refused, as somebody else has to grant these rights, else
// the first, as what fails for one kind mostly fails for all. It is nil without an error.
func unread(missing map[string]error) error {
	var refused []error
	var first error
	for _, kind := range slices.Sorted(maps.Keys(missing)) {
		switch err := missing[kind]; {
		case err == nil:
		case apierrors.IsForbidden(err):
			refused = append(refused, fmt.Errorf("cluster: %w", err))
		case first == nil:
			first = fmt.Errorf("cluster: %s: %w", kind, err)
		}
	}
	if len(refused) > 0 {
		return errors.Join(refused...)
	}
	return first
}

// readAround lists what lies around what is served, in one namespace or, if it is empty, in all,
// and the Leases of the controller's own. What may not be read is noted.
func readAround(ctx context.Context, client kubernetes.Interface, namespace, own string) *ingress.Surroundings {
	a := &ingress.Surroundings{Unread: make(map[string]error)}
	list := metav1.ListOptions{}
	pods, err := client.CoreV1().Pods(namespace).List(ctx, list)
	note(a, "Pod", err, func() { a.Pods = pointers(pods.Items) })
	policies, err := client.NetworkingV1().NetworkPolicies(namespace).List(ctx, list)
	note(a, "NetworkPolicy", err, func() { a.NetworkPolicies = pointers[netv1.NetworkPolicy](policies.Items) })
	namespaces, err := client.CoreV1().Namespaces().List(ctx, list)
	note(a, "Namespace", err, func() { a.Namespaces = pointers(namespaces.Items) })
	nodes, err := client.CoreV1().Nodes().List(ctx, list)
	note(a, "Node", err, func() { a.Nodes = pointers(nodes.Items) })
	leases, err := client.CoordinationV1().Leases(own).List(ctx, list)
	note(a, "Lease", err, func() { a.Leases = pointers(leases.Items) })
	return a
}

func note(a *ingress.Surroundings, kind string, err error, take func()) {
	if err != nil {
		a.Unread[kind] = err
		return
	}
	take()
}

func pointers[T any](items []T) []*T {
	list := make([]*T, len(items))
	for i := range items {
		list[i] = &items[i]
	}
	return list
}

package main

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/fairlead-ingress/fairlead/k8s"
	"github.com/fairlead-ingress/fairlead/tls/tickets"
)

// cluster is what an instance has to do with its API server: the objects that it reads, and
// what it writes while it is the leader.
type cluster struct {
	client  kubernetes.Interface
	source  *k8s.Cluster
	contact k8s.Contact
	leader  *k8s.Leader // nil without election
	events  *k8s.Events
	status  *k8s.Status // nil when no status is written
	tickets *k8s.Tickets
	clear   bool // take the addresses back at the end
	log     *zap.Logger

	surroundings surroundings
}

// newCluster gives issue what it needs, unless that is nil.
func newCluster(s settings, useKeys func(tickets.Keys), issue *issuing, log *zap.Logger) (*cluster, error) {
	config, err := k8s.RestConfig(s.kubeconfig, s.apiserverHost)
	if err != nil {
		return nil, err
	}
	c := &cluster{log: log, clear: s.updateStatusOnShutdown}
	config.Wrap(c.contact.Wrap)
	client, leases, err := k8s.NewClients(config)
	if err != nil {
		return nil, err
	}
	c.client = client

	class := s.controllerClass()
	lease := s.electionID
	if lease == "" {
		lease = k8s.LeaseName(class)
	}
	fieldManager := lease + "-status"
	options := k8s.ClusterOptions{
		Client: client, Namespace: s.watchNamespace, PublishService: s.publish, DefaultCertificate: s.defaultCert, ConfigMap: s.config,
		DefaultBackend: types.NamespacedName{Namespace: s.defaultBackend.Namespace, Name: s.defaultBackend.Service},
		FieldManager:   fieldManager, Log: log.Named("cluster"), AssumedClass: s.assumedClass(),
	}
	if issue != nil {
		options.Issued = issue.keptIn(s, client, lease)
	}
	c.source = k8s.NewCluster(options)
	if issue != nil {
		issue.lead = issue.leader(s, leases, lease, log)
		issue.Visible = issue.visible(&k8s.Peers{
			Service: s.publish, Snapshot: c.source.Snapshot,
			Opening: func(from netip.Addr) (string, bool) { return issue.opening(from) },
		})
	}
	c.events = &k8s.Events{Client: client, Controller: class, Instance: k8s.PodName(), Log: log.Named("events")}
	addresses := k8s.Addresses{Service: s.publish}
	for _, list := range s.publishStatusAddresses {
		addresses.Fixed = append(addresses.Fixed, k8s.ParseAddresses(list)...)
	}
	if s.updateStatus && (len(addresses.Fixed) > 0 || s.publishService != "") {
		c.status = &k8s.Status{
			Client: client, Cluster: c.source, Addresses: addresses, FieldManager: fieldManager, Log: log.Named("status"),
		}
	}
	c.tickets = &k8s.Tickets{
		Client: client, Namespace: k8s.PodNamespace(), Name: k8s.TicketsName(lease), Use: useKeys, Log: log.Named("tickets"),
	}
	if !s.disableLeaderElection {
		c.leader = &k8s.Leader{
			Client: leases, Namespace: k8s.PodNamespace(), Name: lease, Identity: k8s.PodName(), TTL: s.electionTTL, Log: log.Named("leader"),
		}
	}
	return c, nil
}

// controllerClass is the controller of the classes that are ours; the first where there are several.
func (s *settings) controllerClass() string {
	if len(s.controllerClasses) > 0 {
		return s.controllerClasses[0]
	}
	return k8s.ControllerClass
}

// assumedClass is the class that is ours where one namespace is served: with Roles alone IngressClasses
// cannot be read. It is nil where they can.
func (s *settings) assumedClass() *netv1.IngressClass {
	if s.watchNamespace == "" {
		return nil
	}
	return &netv1.IngressClass{
		ObjectMeta: metav1.ObjectMeta{Name: s.ingressClass},
		Spec:       netv1.IngressClassSpec{Controller: s.controllerClass()},
	}
}

// updated tells the writers of the present state.
func (c *cluster) updated(u k8s.Update) {
	c.events.Update(u.Problems)
	if c.status != nil {
		c.status.Update(u)
	}
}

func (c *cluster) leading() bool { return c.leader == nil || c.leader.Leading() }

// write writes Events and status until ctx ends, while this replica leads.
func (c *cluster) write(ctx context.Context) {
	lead := func(ctx context.Context) {
		var wg sync.WaitGroup
		wg.Go(func() { c.events.Run(ctx) })
		wg.Go(func() { c.tickets.Lead(ctx) })
		if c.status != nil {
			wg.Go(func() { c.status.Run(ctx) })
		}
		wg.Wait()
	}
	var err error
	if c.leader == nil {
		lead(ctx)
	} else {
		err = c.leader.Run(ctx, func(held context.Context) {
			lead(held)
			if ctx.Err() != nil {
				c.takeBack()
			}
		})
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		c.log.Error("nothing is written to the API server", zap.Error(err))
	}
	if c.leader == nil {
		c.takeBack()
	}
}

// takeBack removes our addresses from the Ingresses when the last replica ends, if that was
// asked for.
func (c *cluster) takeBack() {
	if c.status == nil || !c.clear {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := c.status.Clear(ctx); err != nil {
		c.log.Warn("addresses stay in the status of Ingresses", zap.Error(err))
	}
}

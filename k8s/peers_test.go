package k8s

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/k8s/k8stest"
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// peersOf are replicas behind a Service.
func peersOf(servers ...*httptest.Server) *Peers {
	addresses := make([]peerAddress, len(servers))
	for i, server := range servers {
		addresses[i] = peerAddress{server.Listener.Addr(), server.TLS != nil}
	}
	return peersAt(addresses...)
}

// peerAddress is a port of a replica.
type peerAddress struct {
	net.Addr
	secure bool
}

func peersAt(addresses ...peerAddress) *Peers {
	name := types.NamespacedName{Namespace: "fairlead", Name: "fairlead"}
	s := &ingress.Snapshot{
		Services: map[types.NamespacedName]*corev1.Service{name: {Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{
			{Name: "http", Port: 80}, {Name: "https", Port: 443},
		}}}},
		Slices: make(map[types.NamespacedName][]*discoveryv1.EndpointSlice),
	}
	for _, address := range addresses {
		port, portName, other := int32(address.Addr.(*net.TCPAddr).Port), "http", int32(1)
		otherName := "https"
		if address.secure {
			portName, otherName = "https", "http"
		}
		s.Slices[name] = append(s.Slices[name], &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{Namespace: "fairlead", Name: fmt.Sprint(port)},
			Ports:      []discoveryv1.EndpointPort{{Name: &portName, Port: &port}, {Name: &otherName, Port: &other}},
			Endpoints:  []discoveryv1.Endpoint{{Addresses: []string{"127.0.0.1"}}},
		})
	}
	return &Peers{Service: name, Snapshot: func() *ingress.Snapshot { return s }}
}

// The authority is not asked to look before the last replica answers.
func TestPeersAnswerHTTP(t *testing.T) {
	var late atomic.Int32
	quick := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "answer for "+r.Host+r.URL.Path)
	}))
	defer quick.Close()
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if late.Add(1) < 4 {
			http.Redirect(w, r, "/", http.StatusFound)
			return
		}
		fmt.Fprint(w, "answer for "+r.Host+r.URL.Path)
	}))
	defer slow.Close()
	peersOf(quick, slow).AnswerHTTP(t.Context(), "a.example", "/t", "answer for a.example/t")
	if n := late.Load(); n != 4 {
		t.Errorf("the late replica was asked %d times, want until it answered", n)
	}
}

func TestPeersAnswerTLS(t *testing.T) {
	var late atomic.Int32
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if late.Add(1) < 3 || hello.ServerName != "a.example" {
			return nil, io.EOF
		}
		c := server.TLS.Clone()
		c.GetConfigForClient, c.NextProtos = nil, []string{"acme-tls/1"}
		return c, nil
	}}
	server.Config.ErrorLog = nil
	server.StartTLS()
	defer server.Close()
	peersOf(server).AnswerTLS(t.Context(), "a.example", "acme-tls/1")
	if n := late.Load(); n != 3 {
		t.Errorf("the replica was asked %d times, want until it agreed", n)
	}
}

// Replicas that cannot be asked hold nothing up for long, and unknown ones are given a moment.
func TestPeersThatDoNotAnswer(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for name, p := range map[string]*Peers{"refusing": peersOf(closed), "none": peersOf(), "unloaded": {Snapshot: func() *ingress.Snapshot { return nil }}} {
		began := time.Now()
		p.AnswerHTTP(t.Context(), "a.example", "/t", "x")
		if took := time.Since(began); took < time.Second {
			t.Errorf("%s: went on after %v", name, took)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	peersOf(closed).AnswerHTTP(ctx, "a.example", "/t", "x")
}

// Replicas that want a PROXY header were not heard: each try waited for as long as they may take.
func TestPeersBehindTheProxyProtocol(t *testing.T) {
	crt, key, err := k8stest.KeyPair("dns=a.example")
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.X509KeyPair(crt, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		want    *policy.ProxyProtocol
		trusted string // on the command line
		asked   bool
	}{
		{"none is wanted", nil, "", true},
		{"from here too", &policy.ProxyProtocol{Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Timeout: time.Minute}, "", true},
		{"from here by the command line", &policy.ProxyProtocol{Timeout: time.Minute}, "127.0.0.1/32", true},
		{"from others", &policy.ProxyProtocol{Trusted: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Timeout: time.Minute}, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := proxy.New(upstream.NewRegistry(upstream.Options{}))
			defer p.Pools.Close()
			if tt.trusted != "" {
				p.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(tt.trusted)}
			}
			var overHTTP, overTLS, refused atomic.Int32
			p.Challenge = func(host, token string) (string, bool) {
				if overHTTP.Add(1) < 3 {
					return "", false
				}
				return host + token, true
			}
			p.ChallengeCertificate = func(string) *tls.Certificate {
				if overTLS.Add(1) < 3 {
					return nil
				}
				return &certificate
			}
			table, _ := p.Compile(proxy.Config{Listener: policy.Listener{ProxyProtocol: tt.want}})
			p.Swap(table)
			server := &proxy.Server{
				Proxy: p, HTTPAddress: "127.0.0.1:0", HTTPSAddress: "127.0.0.1:0", TLS: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}},
				Refused: func(string, string) { refused.Add(1) },
			}
			if err := server.Listen(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- server.Serve() }()
			defer func() { server.Close(); <-ended }()

			peers := peersAt(peerAddress{server.Addresses()["http"], false})
			peers.Opening = p.Opening
			peers.AnswerHTTP(t.Context(), "a.example", proxy.ChallengePath+"t", "a.examplet")
			peers = peersAt(peerAddress{server.Addresses()["https"], true})
			peers.Opening = p.Opening
			peers.AnswerTLS(t.Context(), "a.example", proxy.ChallengeProtocol)
			want, refusals := int32(3), int32(0)
			if !tt.asked {
				want, refusals = 0, 2
			}
			if overHTTP.Load() != want || overTLS.Load() != want || refused.Load() > refusals {
				t.Errorf("asked %d times and %d times, want %d; %d connections refused, want %d", overHTTP.Load(), overTLS.Load(), want, refused.Load(), refusals)
			}
		})
	}
}

package proxy

import (
	"crypto/tls"
	"slices"
	"strings"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/router"
)

// clientCerts says what each host asks of client certificates, as policy.ClientCert.Identity
// has it. A nil one asks nothing anywhere.
type clientCerts struct {
	routes *router.Table
	hosts  map[string]string // by the Host of a rule; only those that ask
}

// demandOf returns what the rules of one host ask for, "" for nothing.
func demandOf(rules []*Rule) string {
	var demand *policy.ClientCert
	for _, r := range rules {
		if r.Policies != nil && r.Policies.ClientCert != nil {
			demand = r.Policies.ClientCert
		}
	}
	if demand == nil {
		return ""
	}
	return demand.Identity()
}

// newClientCerts is nil when no host asks for a certificate.
func newClientCerts(hosts []*compiledHost, routes *router.Table) *clientCerts {
	var c *clientCerts
	for _, h := range hosts {
		if h.demand == "" {
			continue
		}
		if c == nil {
			c = &clientCerts{routes, make(map[string]string)}
		}
		c.hosts[h.rules.Host] = h.demand
	}
	return c
}

// of returns the demand of a canonical host: "" for none. The rules that count are those that
// requests for the host are routed by.
func (c *clientCerts) of(host string) string {
	if c == nil {
		return ""
	}
	return c.hosts[c.routes.HostOf(host)]
}

// serverName is the canonical form of a server name, "" for none or one that is no host.
func serverName(name string) string {
	host, err := router.CanonicalHost(strings.TrimSuffix(name, "."))
	if err != nil {
		return ""
	}
	return host
}

// misdirected reports that a request is for a host that demands another proof of the client than
// that of its connection did: it must not pass with what was agreed on for the other.
func (t *Table) misdirected(state *tls.ConnectionState, host string) bool {
	if t.clientCerts == nil || state == nil {
		return false
	}
	name := serverName(state.ServerName)
	return name != host && t.clientCerts.of(name) != t.clientCerts.of(host)
}

// tlsConfig returns what the HTTPS port is served with: base, and what each handshake needs by
// the name that the client asks for. Session tickets are sealed with the keys of tickets, which
// is never served itself, and end where the demands on the client change.
func (p *Proxy) tlsConfig(base, tickets *tls.Config) *tls.Config {
	base = base.Clone()
	for _, protocol := range []string{"http/1.1", "h2"} {
		if !slices.Contains(base.NextProtos, protocol) {
			base.NextProtos = append([]string{protocol}, base.NextProtos...)
		}
	}
	with := func(demand string) *tls.Config {
		config := base.Clone()
		if demand != "" {
			config.ClientAuth = tls.RequestClientCert
		}
		bindTickets(config, tickets, demand)
		return config
	}
	plain, served := with(""), base.Clone()
	served.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if demand := p.table.Load().clientCerts.of(serverName(hello.ServerName)); demand != "" {
			return with(demand), nil
		}
		return plain, nil
	}
	return served
}

// ticketDemand marks our entry in the Extra of a session.
const ticketDemand = "fairlead client certificate\x00"

// bindTickets lets sessions be resumed by clients of whom the same is demanded, and by no others.
func bindTickets(config, tickets *tls.Config, demand string) {
	mark := []byte(ticketDemand + demand)
	config.WrapSession = func(cs tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
		session.Extra = append(session.Extra, mark)
		return tickets.EncryptTicket(cs, session)
	}
	config.UnwrapSession = func(identity []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		session, err := tickets.DecryptTicket(identity, cs)
		if err != nil || session == nil {
			return nil, err
		}
		if !slices.ContainsFunc(session.Extra, func(extra []byte) bool { return string(extra) == string(mark) }) {
			return nil, nil
		}
		return session, nil
	}
}

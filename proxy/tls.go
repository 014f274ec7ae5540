package proxy

import (
	"crypto/tls"
	"slices"
	"strings"
	"sync"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/router"
)

// hosting is what the handshakes of a table need: what the data ports offer, and what single
// hosts offer and ask otherwise.
type hosting struct {
	routes   *router.Table
	listener policy.Listener
	hosts    map[string]terms       // by the Host of a rule; only those that differ
	demands  bool                   // a host asks for client certificates
	passed   map[string]*passedHost // by the Host of a rule; nil for none

	configs sync.Map // offer -> *tls.Config
}

// terms are what a host has of its own. The zero value is nothing.
type terms struct {
	demand  string // what it asks of client certificates, as policy.ClientCert.Identity has it
	ciphers string // as encodeCiphers has them; empty: those of the listener
}

// offer is what a handshake gets.
type offer struct {
	base *tls.Config
	terms
	refuse bool
	older  bool // the client knows no TLS 1.3
}

// termsOf returns what a host has of its own. Its rules demand the same of clients.
func termsOf(h *HostRules) terms {
	t := terms{ciphers: encodeCiphers(h.Ciphers)}
	for _, r := range h.Rules {
		if r.Policies != nil && r.Policies.ClientCert != nil {
			t.demand = r.Policies.ClientCert.Identity()
			break
		}
	}
	return t
}

func newHosting(hosts []*compiledHost, routes *router.Table, l policy.Listener) *hosting {
	h := &hosting{routes: routes, listener: l}
	for _, c := range hosts {
		if c.passed != nil {
			if h.passed == nil {
				h.passed = make(map[string]*passedHost)
			}
			h.passed[c.rules.Host] = c.passed
		}
		if c.terms == (terms{}) {
			continue
		}
		if h.hosts == nil {
			h.hosts = make(map[string]terms)
		}
		h.hosts[c.rules.Host] = c.terms
		h.demands = h.demands || c.terms.demand != ""
	}
	return h
}

func encodeCiphers(ids []uint16) string {
	b := make([]byte, 0, 2*len(ids))
	for _, id := range ids {
		b = append(b, byte(id>>8), byte(id))
	}
	return string(b)
}

func decodeCiphers(s string) (ids []uint16) {
	for i := 0; i+1 < len(s); i += 2 {
		ids = append(ids, uint16(s[i])<<8|uint16(s[i+1]))
	}
	return ids
}

// of returns what a canonical host has of its own. The rules that count are those that requests
// for the host are routed by.
func (h *hosting) of(host string) terms {
	if len(h.hosts) == 0 {
		return terms{}
	}
	return h.hosts[h.routes.HostOf(host)]
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
// that of its connection did: it must not pass with what was agreed on for the other. Nor is a
// host whose connections are passed on served over one that was decrypted.
func (t *Table) misdirected(state *tls.ConnectionState, host string) bool {
	if state == nil {
		return false
	}
	if _, passed := t.hosting.passes(host); passed != nil {
		return true
	}
	if !t.hosting.demands {
		return false
	}
	name := serverName(state.ServerName)
	return name != host && t.hosting.of(name).demand != t.hosting.of(host).demand
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
	served := base.Clone()
	served.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if c := p.challengeConfig(hello); c != nil {
			return c, nil
		}
		older := !slices.Contains(hello.SupportedVersions, tls.VersionTLS13)
		return p.table.Load().hosting.config(base, tickets, serverName(hello.ServerName), older), nil
	}
	return served
}

// config returns what a handshake for a canonical host is done with, for clients that are older than
// TLS 1.3 or are not. It is made at the first of its kind in the table.
func (h *hosting) config(base, tickets *tls.Config, host string, older bool) *tls.Config {
	o := offer{base: base, terms: h.of(host), older: older}
	o.refuse = h.listener.RejectUnknown && h.routes.HostOf(host) == ""
	if made, ok := h.configs.Load(o); ok {
		return made.(*tls.Config)
	}
	made, _ := h.configs.LoadOrStore(o, h.listen(o, tickets))
	return made.(*tls.Config)
}

// listen makes the configuration of an offer.
func (h *hosting) listen(o offer, tickets *tls.Config) *tls.Config {
	config := o.base.Clone()
	if o.refuse {
		// Without a certificate the client is told that the name is not known.
		config.Certificates, config.GetCertificate, config.SessionTicketsDisabled = nil, nil, true
		return config
	}
	l := &h.listener
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	if l.OnlyTLS13 {
		config.MinVersion = tls.VersionTLS13
	}
	if l.NoTLS13 {
		config.MaxVersion = tls.VersionTLS12
	}
	switch {
	case o.ciphers != "":
		config.CipherSuites = decodeCiphers(o.ciphers)
	case l.Ciphers != nil:
		config.CipherSuites = l.Ciphers
	case config.CipherSuites == nil:
		config.CipherSuites = policy.DefaultCiphers()
	}
	if l.Groups != nil {
		config.CurvePreferences = l.Groups
	}
	if l.NoHTTP2 || (o.older || l.NoTLS13) && !slices.ContainsFunc(config.CipherSuites, carriesHTTP2) {
		config.NextProtos = slices.DeleteFunc(slices.Clone(config.NextProtos), func(p string) bool { return p == "h2" })
	}
	if o.demand != "" {
		config.ClientAuth = tls.RequestClientCert
	}
	config.SessionTicketsDisabled = l.NoTickets
	bindTickets(config, tickets, o.demand)
	return config
}

// carriesHTTP2 reports whether HTTP/2 may be spoken over TLS 1.2 with a suite: RFC 9113, appendix A
// prohibits others, with which a connection would be refused after it was agreed on.
func carriesHTTP2(suite uint16) bool {
	name := tls.CipherSuiteName(suite)
	return strings.HasPrefix(name, "TLS_ECDHE_") && (strings.Contains(name, "_GCM_") || strings.Contains(name, "_POLY1305_"))
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

package cluster

import _ "embed"

// dnsManifest is CoreDNS, as every cluster has it.
//
//go:embed dns.yaml
var dnsManifest string

package ingress

import "testing"

func TestEndpointAddress(t *testing.T) {
	for _, c := range []struct {
		text        string
		want, local string // "" when refused
	}{
		{"10.0.0.1", "10.0.0.1", "10.0.0.1"},
		{"2001:DB8::1", "2001:db8::1", "2001:db8::1"},
		{"::ffff:10.0.0.1", "10.0.0.1", "10.0.0.1"},
		{"100.64.0.1", "100.64.0.1", "100.64.0.1"},
		{"127.0.0.1", "", "127.0.0.1"},
		{"127.9.9.9", "", "127.9.9.9"},
		{"::1", "", "::1"},
		{"::ffff:127.0.0.1", "", "127.0.0.1"},
		{"169.254.169.254", "", ""},
		{"::ffff:169.254.169.254", "", ""},
		{"fe80::1", "", ""},
		{"fe80::1%eth0", "", ""},
		{"2001:db8::1%eth0", "", ""},
		{"0.0.0.0", "", ""},
		{"0.1.2.3", "", ""},
		{"::", "", ""},
		{"224.0.0.1", "", ""},
		{"ff02::1", "", ""},
		{"255.255.255.255", "", ""},
		{"fd00:ec2::254", "", ""},
		{"168.63.129.16", "", ""},
		{"", "", ""},
		{"10.0.0.1:80", "", ""},
		{"010.0.0.1", "", ""},
		{"pod.example", "", ""},
	} {
		for local, want := range map[bool]string{false: c.want, true: c.local} {
			addr, err := endpointAddress(c.text, local)
			got := ""
			if err == nil {
				got = addr.String()
			}
			if got != want {
				t.Errorf("endpointAddress(%q, %t) = %q, %v, want %q", c.text, local, got, err, want)
			}
		}
	}
}

func TestDeniedName(t *testing.T) {
	for name, denied := range map[string]bool{
		"localhost":                  true,
		"a.b.localhost":              true,
		"localhost.localdomain":      true,
		"ip6-localhost":              true,
		"127.0.0.1":                  true,
		"::1":                        true,
		"[::1]":                      true,
		"0":                          true,
		"2130706433":                 true,
		"0x7f000001":                 true,
		"0x7f.1":                     true,
		"127.1":                      true,
		"0177.0.0.1":                 true,
		"256.1.1.1":                  true,
		"169.254.169.254":            true,
		"metadata.google.internal":   true,
		"10.0.0.1":                   false,
		"2001:db8::1":                false,
		"api.partner.example":        false,
		"db.other.svc.cluster.local": false,
		"localhost.example":          false,
		"mylocalhost":                false,
		"v1.0xyz":                    false,
		"":                           false,
	} {
		if why := deniedName(name); (why != "") != denied {
			t.Errorf("deniedName(%q) = %q, want denied %t", name, why, denied)
		}
	}
}

func TestCanonicalHost(t *testing.T) {
	long := "a.example"
	for len(long) <= 253 {
		long = "aaaaaaaaa." + long
	}
	for host, want := range map[string]string{
		"":               "",
		"A.Example":      "a.example",
		"*.A.example":    "*.a.example",
		"localhost":      "localhost",
		"1.example":      "1.example",
		"*":              "error",
		"*.":             "error",
		"*.*.example":    "error",
		"a.*.example":    "error",
		"*a.example":     "error",
		"a.example.":     "error",
		".example":       "error",
		"-a.example":     "error",
		"a.example/x":    "error",
		"a.example:80":   "error",
		"192.0.2.1":      "error",
		"192.0.2.300":    "error",
		"::1":            "error",
		"[::1]":          "error",
		"a b":            "error",
		"\u212A.example": "error", // the Kelvin sign, k in lower case
		long:             "error",
	} {
		got, err := canonicalHost(host)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("canonicalHost(%q) = %q, %v, want %q", host, got, err, want)
		}
	}
}

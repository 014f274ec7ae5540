package router

import (
	"net/netip"
	"strings"
	"testing"
)

func TestCanonicalHost(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"foo.com", "foo.com"},
		{"FOO.Com", "foo.com"},
		{"foo.com.", "foo.com"},
		{"foo.com:80", "foo.com"},
		{"foo.com:", "foo.com"},
		{"foo.com:1", "foo.com"},
		{"foo.com:00080", "foo.com"},
		{"foo.com:65535", "foo.com"},
		{"Foo.Com.:443", "foo.com"},
		{"localhost", "localhost"},
		{"my_host-1.x", "my_host-1.x"},
		{"xn--mnchen-3ya.example", "xn--mnchen-3ya.example"},
		{"10.0.0.1", "10.0.0.1"},
		{"10.0.0.1.:8080", "10.0.0.1"},
		{"[::1]", "[::1]"},
		{"[::1]:8080", "[::1]"},
		{"[::1]:", "[::1]"},
		{"[2001:DB8:0:0::1]", "[2001:db8::1]"},
		{"[::FFFF:10.0.0.1]:80", "[::ffff:10.0.0.1]"},
	} {
		if got, err := CanonicalHost(tt.in); err != nil || got != tt.want {
			t.Errorf("CanonicalHost(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
}

func TestCanonicalHostRefuses(t *testing.T) {
	for _, tt := range []struct{ in, mention string }{
		{".", "empty label"},
		{".foo.com", "label before each dot"},
		{"foo..com", "label before each dot"},
		{"foo.com..", "empty label"},
		{"*.foo.com", `'*'`},
		{"foo com", `' '`},
		{"foo,bar", `','`},
		{"user@foo.com", `'@'`},
		{"foo.com/path", `'/'`},
		{"foo.com?q", `'?'`},
		{"foo%2ecom", `'%'`},
		{"foo\x00.com", `\x00`},
		{"foo\r\n.com", `\r`},
		{"münchen.example", "letters, digits"},
		{"\u212Aelvin.example", "letters, digits"}, // lower case of the Kelvin sign is "k"
		{":80", "empty label"},
		{"foo.com:0", "port"},
		{"foo.com:65536", "port"},
		{"foo.com:000080", "port"},
		{"foo.com:99999999999999999999", "port"},
		{"foo.com:-1", "port"},
		{"foo.com:+80", "port"},
		{"foo.com:8o", "port"},
		{"foo.com:80:80", "port"},
		{"user:pass@foo.com", "port"},
		{"::1", "port"},
		{"2001:db8::1", "port"},
		{"[::1", "port"},
		{"[", "IPv6"},
		{"[]", "IPv6"},
		{"[:80", "IPv6"},
		{"]", `']'`},
		{"]:80", `']'`},
		{"[::1]x", "IPv6"},
		{"[::1]x:80", "IPv6"},
		{"[::1]:x", "port"},
		{"[::1]]", "IPv6"},
		{"[[::1]]", "IPv6"},
		{"x[::1]", `'['`},
		{"[10.0.0.1]", "IPv6"},
		{"[fe80::1%25eth0]", "IPv6"},
		{"[fe80::1%eth0]", "IPv6"},
		{"[v1.x]", "IPv6"},
		{"[::1].", "IPv6"},
	} {
		got, err := CanonicalHost(tt.in)
		if err == nil {
			t.Errorf("CanonicalHost(%q) = %q, want an error", tt.in, got)
		} else if !strings.Contains(err.Error(), tt.mention) {
			t.Errorf("CanonicalHost(%q): error %q, want it to mention %q", tt.in, err, tt.mention)
		}
	}
	// What a client sends is not repeated without end.
	if _, err := CanonicalHost(strings.Repeat("a", 10_000) + " "); err == nil || len(err.Error()) > 300 {
		t.Errorf("error for a host of 10 kB: want one below 300 bytes, got %v", err)
	}
}

func TestCanonicalHostDoesNotAllocate(t *testing.T) {
	for _, host := range []string{
		"", "foo.com", "foo.com.:8080", "10.0.0.1:80", "[2001:db8::1]:443", "[::ffff:10.0.0.1]",
	} {
		if n := testing.AllocsPerRun(100, func() { _, _ = CanonicalHost(host) }); n != 0 {
			t.Errorf("CanonicalHost(%q): %v allocations, want 0", host, n)
		}
	}
}

func TestHostKey(t *testing.T) {
	for _, tt := range []struct{ host, key, shown string }{
		{"", "", "*"},
		{"foo.com", "foo.com", "foo.com"},
		{"Foo.com.", "foo.com", "foo.com"},
		{"*.foo.com", ".foo.com", "*.foo.com"},
		{"*.Foo.com.", ".foo.com", "*.foo.com"},
		{"*.com", ".com", "*.com"},
		{"[2001:DB8::1]", "[2001:db8::1]", "[2001:db8::1]"},
		{"*", "?*", "*"},
		{"*.", "?*.", "*."},
		{".", "?.", "."},
		{".foo.com", "?.foo.com", ".foo.com"},
		{"*.*.foo.com", "?*.*.foo.com", "*.*.foo.com"},
		{"Foo.com:80", "?foo.com:80", "foo.com:80"},
		{"*.[::1]", "?*.[::1]", "*.[::1]"},
		{"?foo.com", "??foo.com", "?foo.com"},
	} {
		key := HostKey(tt.host)
		if key != tt.key || keyHost(key) != tt.shown {
			t.Errorf("HostKey(%q) = %q, shown as %q, want %q, %q", tt.host, key, keyHost(key), tt.key, tt.shown)
		}
	}
}

func FuzzCanonicalHost(f *testing.F) {
	f.Fuzz(func(t *testing.T, in string) {
		got, err := CanonicalHost(in)
		if err != nil {
			if got != "" {
				t.Errorf("CanonicalHost(%q) = %q with error %v, want no host", in, got, err)
			}
			return
		}
		if again, err := CanonicalHost(got); err != nil || again != got {
			t.Errorf("CanonicalHost(%q) = %q, of which it makes %q, %v", in, got, again, err)
		}
		if (got == "") != (in == "") {
			t.Errorf("CanonicalHost(%q) = %q", in, got)
		}
		if got == "" {
			return
		}
		if withPort, err := CanonicalHost(got + ":8080"); err != nil || withPort != got {
			t.Errorf("CanonicalHost(%q) = %q, %v, want the port removed", got+":8080", withPort, err)
		}
		if key := HostKey(got); key != got {
			t.Errorf("a route for host %q is filed under %q", got, key)
		}
		if got[0] == '[' {
			addr, err := netip.ParseAddr(got[1 : len(got)-1])
			if err != nil || !addr.Is6() || addr.Zone() != "" || "["+addr.String()+"]" != got {
				t.Errorf("CanonicalHost(%q) = %q, want a plain IPv6 literal", in, got)
			}
			return
		}
		if strings.Trim(got, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" || strings.Contains("."+got+".", "..") {
			t.Errorf("CanonicalHost(%q) = %q, want labels of lower-case letters, digits, '-' and '_'", in, got)
		}
		if withDot, err := CanonicalHost(strings.ToUpper(got) + "."); err != nil || withDot != got {
			t.Errorf("CanonicalHost(%q) = %q, %v, want %q", strings.ToUpper(got)+".", withDot, err, got)
		}
		if !strings.HasPrefix(strings.ToLower(in), got) {
			t.Errorf("CanonicalHost(%q) = %q, want the beginning of the input", in, got)
		}
	})
}

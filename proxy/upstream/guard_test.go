package upstream

import (
	"net/netip"
	"testing"
)

func TestGuard(t *testing.T) {
	own := func() []netip.AddrPort {
		return []netip.AddrPort{
			netip.MustParseAddrPort("10.0.0.5:10254"),
			netip.MustParseAddrPort("[::]:443"),
			netip.MustParseAddrPort("[::ffff:10.0.0.6]:80"),
		}
	}
	const (
		never   = iota // whatever is permitted
		literal        // on loopback: an IP address, when that is permitted
		always
	)
	tests := []struct {
		address string
		want    int
	}{
		{"10.0.0.1:80", always},
		{"192.168.1.1:80", always},
		{"8.8.8.8:443", always},
		{"100.64.0.1:80", always},
		{"[2001:db8::1]:80", always},
		{"[fd00:ec2::253]:80", always},
		{"[64:ff9b::808:808]:80", always},
		{"[::ffff:10.0.0.1]:80", always},

		{"0.0.0.0:80", never},
		{"0.0.0.1:80", never},
		{"[::]:80", never},
		{"[::ffff:0.0.0.0]:80", never},
		{"224.0.0.1:80", never},
		{"239.255.255.250:80", never},
		{"255.255.255.255:80", never},
		{"[ff02::1]:80", never},
		{"[ff0e::1]:80", never},
		{"169.254.169.254:80", never},
		{"169.254.0.1:80", never},
		{"[::ffff:169.254.169.254]:80", never},
		{"[::169.254.169.254]:80", never},
		{"[::ffff:0:169.254.169.254]:80", never},
		{"[64:ff9b::a9fe:a9fe]:80", never},
		{"[fe80::1]:80", never},
		{"[fe80::1%eth0]:80", never},
		{"[febf::1]:80", never},
		{"[fec0::1]:80", never},
		{"[fd00:ec2::254]:80", never},
		{"[fd00:ec2::254%eth0]:80", never},

		{"127.0.0.1:8080", literal},
		{"127.1.2.3:8080", literal},
		{"[::1]:8080", literal},
		{"[::1%lo]:8080", literal},
		{"[::ffff:127.0.0.1]:8080", literal},
		{"[::127.0.0.1]:8080", literal},
		{"[64:ff9b::7f00:1]:8080", literal},

		// Own listeners.
		{"10.0.0.5:10254", never},
		{"[::ffff:10.0.0.5]:10254", never},
		{"10.0.0.5:8080", always},
		{"10.0.0.7:10254", always},
		{"10.0.0.6:80", never},
		{"127.0.0.1:443", never},
		{"[::1]:443", never},
		{"10.0.0.1:443", always}, // only a connection tells whether it is this machine
	}
	for _, test := range tests {
		address := netip.MustParseAddrPort(test.address)
		for _, allowLocal := range []bool{false, true} {
			for _, isLiteral := range []bool{false, true} {
				g := guard{allowLocal: allowLocal, own: own}
				want := test.want == always || test.want == literal && allowLocal && isLiteral
				if err := g.check(address, isLiteral); (err == nil) != want {
					t.Errorf("%s, allowLocal=%t, literal=%t: want permitted=%t, got %v", test.address, allowLocal, isLiteral, want, err)
				}
			}
		}
	}
	if err := new(guard).check(netip.AddrPort{}, true); err == nil {
		t.Error("want the zero address denied")
	}
}

func TestGuardConnected(t *testing.T) {
	g := guard{own: func() []netip.AddrPort {
		return []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:80"), netip.MustParseAddrPort("10.0.0.5:10254")}
	}}
	for _, test := range []struct {
		local, remote string
		want          bool
	}{
		{"10.0.0.5:40000", "10.0.0.5:80", false},
		{"[::ffff:10.0.0.5]:40000", "10.0.0.5:80", false},
		{"10.0.0.5:40000", "10.0.0.5:8080", true},
		{"10.0.0.5:40000", "10.0.0.9:80", true},
		{"10.0.0.5:40000", "10.0.0.5:10254", true}, // check has denied it already
	} {
		err := g.checkConnected(netip.MustParseAddrPort(test.local), netip.MustParseAddrPort(test.remote))
		if (err == nil) != test.want {
			t.Errorf("from %s to %s: want permitted=%t, got %v", test.local, test.remote, test.want, err)
		}
	}
}

// FuzzGuard: no spelling of an address that is never permitted gets through, whatever wraps it.
func FuzzGuard(f *testing.F) {
	f.Add([]byte{169, 254, 169, 254}, uint8(0))
	f.Add([]byte{127, 0, 0, 1}, uint8(1))
	f.Add([]byte{0, 0, 0, 0}, uint8(2))
	f.Add([]byte{224, 0, 0, 1}, uint8(3))
	f.Fuzz(func(t *testing.T, b []byte, form uint8) {
		if len(b) < 4 {
			return
		}
		ip := netip.AddrFrom4([4]byte(b))
		bare := new(guard).check(netip.AddrPortFrom(ip, 80), true)
		var wide [16]byte
		copy(wide[12:], ip.AsSlice())
		switch form % 4 {
		case 0:
			wide[10], wide[11] = 0xff, 0xff
		case 1: // compatible
			if wide[12] == 0 {
				return // also other things than IPv4
			}
		case 2:
			copy(wide[:], []byte{0, 0x64, 0xff, 0x9b})
		case 3:
			wide[8], wide[9] = 0xff, 0xff
		}
		wrapped := new(guard).check(netip.AddrPortFrom(netip.AddrFrom16(wide), 80), true)
		if (bare == nil) != (wrapped == nil) {
			t.Errorf("%s: %v, but as %s: %v", ip, bare, netip.AddrFrom16(wide), wrapped)
		}
	})
}

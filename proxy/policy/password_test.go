package policy

import "testing"

// The hashes are of htpasswd and openssl passwd.
func TestVerify(t *testing.T) {
	for _, c := range []struct {
		hash, password string
		want           bool
	}{
		{"$apr1$gR7J0yCV$GOwGmZkPWEP0JD14UCFlg.", "wonder", true},
		{"$apr1$gR7J0yCV$GOwGmZkPWEP0JD14UCFlg.", "Wonder", false},
		{"$apr1$gR7J0yCV$GOwGmZkPWEP0JD14UCFlg.", "", false},
		{"$2y$05$dov.rCeBGr2k2UUqfG0NOOJgTSrQwyYJWf0yjcbYbRrjUWEK4F.Uy", "pa:ss", true},
		{"$2y$05$dov.rCeBGr2k2UUqfG0NOOJgTSrQwyYJWf0yjcbYbRrjUWEK4F.Uy", "pa", false},
		{"{SHA}hWK/nKq6ApDFwwVB9GNyLi7WBzM=", "sha1pw", true},
		{"{SHA}hWK/nKq6ApDFwwVB9GNyLi7WBzM=", "sha1pw ", false},
		{"2qyf2EN/DhAXQ", "cryptpw", true},
		{"2qyf2EN/DhAXQ", "cryptpx", false},
		{"{PLAIN}plainpw", "plainpw", false},
		{"justtext", "justtext", false},
		{"", "", false},
	} {
		if got := verify(c.hash, c.password); got != c.want {
			t.Errorf("verify(%q, %q) = %v", c.hash, c.password, got)
		}
	}
	for hash, want := range map[string]bool{
		"": false, "justtext": false, "{PLAIN}x": false, "{SHA}x": false, "$apr1$x": false, "$2y$31$dov.rCeBGr2k2UUqfG0NOOJgTSrQwyYJWf0yjcbYbRrjUWEK4F.Uy": false,
		"$5$rounds=5$x$y": false, "2qyf2EN/DhAXQ": true,
	} {
		if got := knownHash(hash); got != want {
			t.Errorf("knownHash(%q) = %v", hash, got)
		}
	}
}

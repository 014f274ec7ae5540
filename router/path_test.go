package router

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestCanonicalPath(t *testing.T) {
	const (
		dots = 1 << iota
		above
		slashes
	)
	for _, tt := range []struct {
		in, match string
		flags     int
		forward   string // "" for as it came
	}{
		{in: "/", match: "/"},
		{in: "/a", match: "/a"},
		{in: "/a/", match: "/a/"},
		{in: "/a/b.c/d", match: "/a/b.c/d"},
		{in: "", match: "/", forward: "/"},
		{in: "*", match: "*"},
		{in: "/*", match: "/*"},

		{in: "//", match: "/"},
		{in: "///a///b///", match: "/a/b/"},

		{in: "/.", match: "/", flags: dots, forward: "/"},
		{in: "/a/.", match: "/a/", flags: dots, forward: "/a/"},
		{in: "/a/./b", match: "/a/b", flags: dots, forward: "/a/b"},
		{in: "/a/..", match: "/", flags: dots, forward: "/"},
		{in: "/a/b/..", match: "/a/", flags: dots, forward: "/a/"},
		{in: "/a/b/../", match: "/a/", flags: dots, forward: "/a/"},
		{in: "/a/b/../c", match: "/a/c", flags: dots, forward: "/a/c"},
		{in: "/a/b/../../c", match: "/c", flags: dots, forward: "/c"},
		{in: "/a//../b", match: "/b", flags: dots, forward: "/b"},
		{in: "/..", match: "/", flags: dots | above, forward: "/"},
		{in: "/../x", match: "/x", flags: dots | above, forward: "/x"},
		{in: "/a/../../x", match: "/x", flags: dots | above, forward: "/x"},
		{in: "/../x/..", match: "/", flags: dots | above, forward: "/"},
		{in: "/%2e/a", match: "/a", flags: dots, forward: "/a"},
		{in: "/a/%2E%2e/b", match: "/b", flags: dots, forward: "/b"},
		{in: "/a/.%2e/b", match: "/b", flags: dots, forward: "/b"},
		{in: "/a/%2e./b", match: "/b", flags: dots, forward: "/b"},
		{in: "/...", match: "/..."},
		{in: "/.a/..b/c./d..", match: "/.a/..b/c./d.."},
		{in: "/a;x=..;y/b;..", match: "/a;x=..;y/b;.."},
		{in: "/...;x/a..;/.a;", match: "/...;x/a..;/.a;"},
		{in: "/a/%252e%252e/b", match: "/a/%252e%252e/b"},

		{in: "/%7Eu", match: "/~u"},
		{in: "/%41%2d%5f%39", match: "/A-_9"},
		{in: "/things%3adelete", match: "/things:delete"},
		{in: "/a%3Bb%2Bc%40d%28", match: "/a;b+c@d("},
		{in: "/sp%20ace", match: "/sp%20ace"},
		{in: "/sp ace", match: "/sp%20ace"},
		{in: "/na%c3%afve", match: "/na%C3%AFve"},
		{in: "/naïve", match: "/na%C3%AFve"},
		{in: "/%3f%23%25", match: "/%3F%23%25"},
		{in: "/%0d%0A", match: "/%0D%0A"},
		{in: "/\"<>[]^`{|}", match: "/%22%3C%3E%5B%5D%5E%60%7B%7C%7D"},
		{in: "/%FF%c0%af", match: "/%FF%C0%AF"},
		{in: "/a/../b%2bc", match: "/b+c", flags: dots, forward: "/b%2bc"},
		{in: "/x//./n%c3%af/", match: "/x/n%C3%AF/", flags: dots, forward: "/x/n%c3%af/"},

		{in: "/a%2Fb", match: "/a%2Fb", flags: slashes},
		{in: "/a%2fb", match: "/a%2Fb", flags: slashes},
		{in: "/a%5cb", match: "/a%5Cb", flags: slashes},
		{in: `/a\b`, match: "/a%5Cb", flags: slashes},
		{in: "/a%2F", match: "/a%2F", flags: slashes},
		{in: "/a%252Fb", match: "/a%252Fb"},
		{in: "/a%2Fb/../c", match: "/c", flags: dots, forward: "/c"},
		{in: "/a%2f../..", match: "/", flags: dots, forward: "/"},
	} {
		got, err := CanonicalPath(tt.in)
		want := Path{
			Match:       tt.match,
			Forward:     tt.forward,
			Rewritten:   tt.match != tt.in,
			DotSegments: tt.flags&dots != 0,
			AboveRoot:   tt.flags&above != 0,
			Slashes:     tt.flags&slashes != 0,
		}
		if want.Forward == "" {
			want.Forward = tt.in
		}
		if err != nil || got != want {
			t.Errorf("CanonicalPath(%q)\n got %+v, %v\nwant %+v", tt.in, got, err, want)
		}
	}
}

func TestCanonicalPathRefuses(t *testing.T) {
	for _, tt := range []struct{ in, mention string }{
		{"a", "leading slash"},
		{"**", "leading slash"},
		{"http://foo.com/", "leading slash"},
		{"/%", "hex digits"},
		{"/%2", "hex digits"},
		{"/%zz", "hex digits"},
		{"/%2g", "hex digits"},
		{"/%%20", "hex digits"},
		{"/a%", "hex digits"},
		{"/%u0041", "hex digits"},
		{"/a%00", "NUL"},
		{"/a/%00/../b", "NUL"},
		{"/a\x00", `\x00`},
		{"/a\r\nb", `\r`},
		{"/a\tb", `\t`},
		{"/a\x7f", `\x7f`},
		{"/a?b", `'?'`},
		{"/a#b", `'#'`},
		{"/a/..%2Fb", `".." beside`},
		{"/a/..%2f", `".." beside`},
		{"/a/x%2F..", `".." beside`},
		{"/a/%2e%2e%5cb", `".." beside`},
		{`/a/..\..\b`, `".." beside`},
		{"/a%2F.%2Fb", `"." beside`},
		{"/.%2Fb", `"." beside`},
		{"/a/..;/b", `".." beside`},
		{"/a/..;x=y", `".." beside`},
		{"/a/.;/b", `"." beside`},
		{"/a/%2e%2e%3b/b", `".." beside`},
		{"/a/./..%3Bx/b", `".." beside`},
		{"/a%2F..;/b", `".." beside`},
		{"/a%2Fb%5Cc", "both"},
		{`/a%2Fb/c\d`, "both"},
	} {
		got, err := CanonicalPath(tt.in)
		if err == nil {
			t.Errorf("CanonicalPath(%q) = %+v, want an error", tt.in, got)
		} else if !strings.Contains(err.Error(), tt.mention) {
			t.Errorf("CanonicalPath(%q): error %q, want it to mention %q", tt.in, err, tt.mention)
		}
	}
	if _, err := CanonicalPath("/" + strings.Repeat("a", 10_000) + "%"); err == nil || len(err.Error()) > 300 {
		t.Errorf("error for a path of 10 kB: want one below 300 bytes, got %v", err)
	}
}

func TestAsSlashes(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"/a/b", "/a/b"},
		{"*", "*"},
		{"/a%2Fb", "/a/b"},
		{"/a%2fb/c", "/a/b/c"},
		{`/a\b%5Cc`, "/a/b/c"},
		{"/a%2F%2Fb", "/a/b"},
		{"/%2Fa", "/a"},
		{"/a%2F", "/a/"},
		{"/%2F", "/"},
		{"/sp%20ace%2Fx", "/sp%20ace/x"},
		{"/a%252Fb", "/a%252Fb"},
		{"/...%2Fb", "/.../b"},
	} {
		p, err := CanonicalPath(tt.in)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.AsSlashes(); got != tt.want {
			t.Errorf("AsSlashes of %q = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestCanonicalPathDoesNotAllocate(t *testing.T) {
	for _, path := range []string{
		"", "*", "/", "/api/v1/users/17", "/a/b/", "/sp%20ace/na%C3%AFve", "/.well-known/x..y", "/..x/...", "/a%2Fb",
	} {
		if n := testing.AllocsPerRun(100, func() { _, _ = CanonicalPath(path) }); n != 0 {
			t.Errorf("CanonicalPath(%q): %v allocations, want 0", path, n)
		}
	}
}

func TestRuleMatch(t *testing.T) {
	for _, tt := range []struct {
		path     string
		pathType PathType
		want     string
	}{
		{"", Prefix, "/"},
		{"/", Prefix, "/"},
		{"/", Exact, "/"},
		{"/a/", Prefix, "/a"},
		{"/a/", ImplementationSpecific, "/a"},
		{"/a/", Exact, "/a/"},
		{"/a//", Prefix, "/a"},
		{"//", Prefix, "/"},
		{"/a/..", Prefix, "/"},
		{"/a/b/.", Prefix, "/a/b"},
		{"a", Exact, "/a"},
		{"*", Exact, "/*"},
		{"/sp ace", Exact, "/sp%20ace"},
		{"/100%", Exact, "/100%25"},
		{"/%zz%41%", Exact, "/%25zzA%25"},
		{"/a%00\x00", Exact, "/a%00%00"},
		{"/a?b#c", Exact, "/a%3Fb%23c"},
		{"/a\n", Exact, "/a%0A"},
		{"/..%2Fa", Exact, "/..%2Fa"},
	} {
		if got := ruleMatch(tt.path, tt.pathType); got != tt.want {
			t.Errorf("ruleMatch(%q, %v) = %q, want %q", tt.path, tt.pathType, got, tt.want)
		}
	}
}

// elements is the naive reading of a path: what is between its slashes, decoded, with dot
// segments resolved; and whether it ends in a slash. The root has no elements and ends in
// one. A "%" that starts no escape is a percent sign.
func elements(path string) (elems []string, slash bool) {
	for _, raw := range strings.Split(path, "/") {
		e := decode(raw)
		slash = e == "" || e == "." || e == ".."
		switch {
		case e == ".." && len(elems) > 0:
			elems = elems[:len(elems)-1]
		case !slash:
			elems = append(elems, e)
		}
	}
	return elems, slash
}

func decode(s string) string {
	var b strings.Builder
	for s != "" {
		n, d := 1, s[:1]
		if len(s) >= 3 && s[0] == '%' {
			if u, err := url.PathUnescape(s[:3]); err == nil {
				n, d = 3, u
			}
		}
		b.WriteString(d)
		s = s[n:]
	}
	return b.String()
}

// refused is the naive reading of which paths CanonicalPath returns an error for.
func refused(path string) bool {
	if path == "" || path == "*" {
		return false
	}
	if path[0] != '/' {
		return true
	}
	if _, err := url.PathUnescape(path); err != nil || strings.Contains(path, "%00") {
		return true
	}
	for i := range len(path) {
		if path[i] < 0x20 || path[i] == 0x7f || path[i] == '?' || path[i] == '#' {
			return true
		}
	}
	elems, _ := elements(path)
	all := strings.Join(elems, "")
	if strings.Contains(all, "/") && strings.Contains(all, `\`) {
		return true
	}
	for _, e := range elems {
		for _, part := range strings.FieldsFunc(e, func(r rune) bool { return r == '/' || r == '\\' }) {
			if part, _, _ = strings.Cut(part, ";"); part == "." || part == ".." {
				return true
			}
		}
	}
	return false
}

func FuzzCanonicalPath(f *testing.F) {
	f.Fuzz(func(t *testing.T, in string) {
		p, err := CanonicalPath(in)
		if (err != nil) != refused(in) {
			t.Fatalf("CanonicalPath(%q): error %v, refused %v", in, err, refused(in))
		}
		if err != nil {
			if p != (Path{}) {
				t.Errorf("CanonicalPath(%q) = %+v with error %v, want no path", in, p, err)
			}
			return
		}
		if again, err := CanonicalPath(p.Match); err != nil ||
			again != (Path{Match: p.Match, Forward: p.Match, Slashes: p.Slashes}) {
			t.Errorf("CanonicalPath(%q).Match = %q is not canonical: %+v, %v", in, p.Match, again, err)
		}
		if fwd, err := CanonicalPath(p.Forward); err != nil || fwd.Match != p.Match || fwd.DotSegments {
			t.Errorf("CanonicalPath(%q).Forward = %q is %+v, %v, want the Match %q", in, p.Forward, fwd, err, p.Match)
		}
		if p.Rewritten != (p.Match != in) {
			t.Errorf("CanonicalPath(%q) = %+v: wrong Rewritten", in, p)
		}
		if !p.DotSegments && p.Forward != in && in != "" {
			t.Errorf("CanonicalPath(%q).Forward = %q, want it as it came", in, p.Forward)
		}
		if p.AboveRoot && !p.DotSegments {
			t.Errorf("CanonicalPath(%q) = %+v: above the root without dot segments", in, p)
		}
		if in == "*" {
			return
		}

		elems, slash := elements(in)
		gotElems, gotSlash := elements(p.Match)
		if !slices.Equal(gotElems, elems) || gotSlash != slash {
			t.Errorf("CanonicalPath(%q).Match = %q: elements %q, %v, want %q, %v", in, p.Match, gotElems, gotSlash, elems, slash)
		}
		// One form for each sequence of elements: it is the one a strict encoder makes.
		var want strings.Builder
		for _, e := range elems {
			want.WriteByte('/')
			for i := range len(e) {
				want.WriteString(encode(e[i]))
			}
		}
		if slash {
			want.WriteByte('/')
		}
		if p.Match != want.String() {
			t.Errorf("CanonicalPath(%q).Match = %q, want %q", in, p.Match, want.String())
		}
		if u, err := url.ParseRequestURI(p.Match); err != nil || u.EscapedPath() != p.Match {
			t.Errorf("CanonicalPath(%q).Match = %q: net/url reads %v, %v", in, p.Match, u, err)
		}
		all := strings.Join(elems, "")
		if p.Slashes != strings.ContainsAny(all, `/\`) {
			t.Errorf("CanonicalPath(%q) = %+v: wrong Slashes", in, p)
		}
		asSlashes, _ := elements(p.AsSlashes())
		parts := strings.FieldsFunc(strings.Join(elems, "/"), func(r rune) bool { return r == '/' || r == '\\' })
		if !slices.Equal(asSlashes, parts) {
			t.Errorf("CanonicalPath(%q).AsSlashes() = %q, want the elements %q", in, p.AsSlashes(), parts)
		}
		if strings.HasPrefix(in, "/") && ruleMatch(in, Exact) != p.Match {
			t.Errorf("a route with path %q has %q, a request %q", in, ruleMatch(in, Exact), p.Match)
		}
	})
}

func encode(c byte) string {
	const hex = "0123456789ABCDEF"
	if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~!$&'()*+,;=:@", c) >= 0 {
		return string(rune(c))
	}
	return string([]byte{'%', hex[c>>4], hex[c&15]})
}

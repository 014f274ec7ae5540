package manifest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// loaded loads paths and returns the names of the Services, and the Problems as text.
func loaded(t testing.TB, paths ...string) (services, problems string) {
	t.Helper()
	m, err := Load(paths...)
	if err != nil {
		t.Fatal(err)
	}
	f := following{Dir: &Dir{}}
	f.current.Store(m)
	return f.services(), problemList(m.Problems())
}

func TestLoadPaths(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "dir/a.yaml", service("a"))
	write(t, "dir/sub/b.yaml", service("b"))
	write(t, "any.txt", service("c"))
	write(t, ".hidden.yaml", service("d"))
	for _, c := range []struct{ paths, want string }{
		{"", ""},
		{"dir", "a b"},
		{"dir/a.yaml any.txt .hidden.yaml", "a c d"},
		{"dir dir/a.yaml ./dir/sub", "a b"}, // each file once
	} {
		services, problems := loaded(t, strings.Fields(c.paths)...)
		if services != c.want || problems != "" {
			t.Errorf("Load(%s): services %q, want %q; problems:\n%s", c.paths, services, c.want, problems)
		}
	}
	for _, path := range []string{"missing", "dir/missing.yaml"} {
		if _, err := Load("dir", path); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
			t.Errorf("Load(%s): %v", path, err)
		}
	}
}

// TestLoadOrder: among duplicates the order of the arguments comes first.
func TestLoadOrder(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "a.yaml", service("web"))
	write(t, "b.yaml", "# second\n"+service("web"))
	m, err := Load("b.yaml", "a.yaml")
	must(t, err)
	file, line, ok := m.Position(ingress.Object{Kind: "Service", Namespace: "default", Name: "web"}, "")
	if file != "b.yaml" || line != 2 || !ok {
		t.Errorf("the Service is that of %s:%d", file, line)
	}
	if p := m.Problems(); len(p) != 1 || p[0].File != "a.yaml" || !strings.Contains(p[0].Err.Error(), "b.yaml:2") {
		t.Errorf("problems:\n%s", problemList(p))
	}
}

// TestLoadStdin also reads what is no regular file.
func TestLoadStdin(t *testing.T) {
	r, w, err := os.Pipe()
	must(t, err)
	real := os.Stdin
	os.Stdin = r
	defer func() { os.Stdin = real }()
	_, err = w.WriteString(service("a") + "---\nkind: [\n")
	must(t, err)
	must(t, w.Close())
	services, problems := loaded(t, "-")
	if services != "a" || !strings.HasPrefix(problems, "-:6: error InvalidYAML File -") {
		t.Errorf("services %q, problems:\n%s", services, problems)
	}

	r2, w2, err := os.Pipe()
	must(t, err)
	defer r2.Close()
	_, err = w2.WriteString(service("b"))
	must(t, err)
	must(t, w2.Close())
	if services, _ := loaded(t, fmt.Sprintf("/dev/fd/%d", r2.Fd())); services != "b" {
		t.Errorf("of a pipe: services %q", services)
	}
}

// TestLoadUnreadable has what a directory can hold that cannot be read. The rest is used.
func TestLoadUnreadable(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "a.yaml", service("a"))
	must(t, syscall.Mkfifo("fifo.yaml", 0o644))
	must(t, os.Symlink("nowhere.yaml", "dangling.yaml"))
	must(t, os.Symlink("loop.yaml", "loop.yaml"))
	must(t, os.Symlink(".", "cycle"))
	must(t, os.Symlink("a.yaml", "again.yaml"))
	must(t, os.Symlink("nowhere", "dangling"))
	must(t, os.Mkdir("dir.yaml", 0o755))
	write(t, "utf16.yaml", "\xff\xfea\x00")
	write(t, "bom.yaml", "\xef\xbb\xbf"+service("bom"))
	write(t, "crlf.yaml", strings.ReplaceAll("---\n"+service("crlf")+"---\n"+service("lf"), "\n", "\r\n"))
	write(t, "binary.yaml", "\x00\x01\xff")
	large, err := os.Create("large.yaml")
	must(t, err)
	must(t, large.Truncate(maxFile+1))
	must(t, large.Close())

	dir, err := os.Getwd()
	must(t, err)
	services, problems := loaded(t, ".")
	want := strings.ReplaceAll(`binary.yaml:1: error InvalidYAML File binary.yaml : control characters are not allowed
dangling.yaml:0: error FileUnreadable File dangling.yaml : the symbolic link leads to DIR/nowhere.yaml, which does not exist
fifo.yaml:0: error FileUnreadable File fifo.yaml : wanted a regular file, got p---------
large.yaml:0: error FileUnreadable File large.yaml : larger than 16 MiB
loop.yaml:0: error FileUnreadable File loop.yaml : too many symbolic links
utf16.yaml:0: error FileUnreadable File utf16.yaml : the file is UTF-16; wanted UTF-8
`, "DIR", dir)
	if services != "a bom crlf lf" || problems != want {
		t.Errorf("services %q, problems:\n%s\nwant:\n%s", services, problems, want)
	}
	if _, err := Load("large.yaml"); err != nil {
		t.Errorf("a large file alone: %v; want a Problem", err)
	}
}

// TestLoadDefaultClass: the copies that the default class makes of Ingresses stay the same
// objects for as long as nothing about them changes.
func TestLoadDefaultClass(t *testing.T) {
	class := func(name string) string {
		return fmt.Sprintf("apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: %s, annotations: {ingressclass.kubernetes.io/is-default-class: \"true\"}}\nspec: {controller: a.b/c}\n", name)
	}
	web := "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web}\nspec: {defaultBackend: {service: {name: web, port: {number: 80}}}}\n"
	l := new(loader)
	load := func(text string) *ingress.Snapshot {
		t.Helper()
		dir := t.TempDir()
		write(t, dir+"/a.yaml", text)
		tree := newTree()
		must(t, tree.walk(dir))
		r := l.load(tree, everything, 0)
		l = r.next
		return r.manifests.Snapshot()
	}
	className := func(s *ingress.Snapshot) string {
		if n := s.Ingresses[0].Spec.IngressClassName; n != nil {
			return *n
		}
		return ""
	}
	without := load(web)
	one := load(web + "---\n" + class("one"))
	again := load(class("one") + "---\n" + web + "---\n" + service("web"))
	two := load(web + "---\n" + class("two"))
	back := load(web)
	if got := []string{className(without), className(one), className(again), className(two), className(back)}; fmt.Sprint(got) != "[ one one two ]" {
		t.Errorf("classes %q", got)
	}
	if one.Ingresses[0] != again.Ingresses[0] {
		t.Error("the class stayed, and the Ingress is another object")
	}
	if one.Ingresses[0] == two.Ingresses[0] {
		t.Error("the class changed, and the Ingress is the same object")
	}
	if without.Ingresses[0] != back.Ingresses[0] {
		t.Error("without a class the Ingress is not the object that was read")
	}
}

// TestLoadBombs: what is small to write and large to expand is refused, and soon.
func TestLoadBombs(t *testing.T) {
	var laughs strings.Builder
	laughs.WriteString("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}\nl0: &l0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n")
	for i := 1; i < 20; i++ {
		fmt.Fprintf(&laughs, "l%d: &l%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*l%d, ", i-1), 9), ", "))
	}
	var keys strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&keys, "k%d: v, ", i)
	}
	merges := "base: &b {" + keys.String() + "}\nall: [" + strings.Repeat("{<<: ["+strings.Repeat("*b, ", 100)+"]},\n", 1000) + "]\n"
	for name, text := range map[string]string{
		"aliases of lists":   laughs.String(),
		"aliases of scalars": "s: &s " + strings.Repeat("x", 100_000) + "\nall: [" + strings.Repeat("*s, ", 100_000) + "]\n",
		"merges":             merges,
		"deep":               strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000),
		"deeper":             strings.Repeat("[", 1_000_000),
		"deep JSON":          `{"a":` + strings.Repeat("[", 1_000_000),
		"deep objects":       strings.Repeat(`{"a":`, 1_000_000),
		"own anchor":         "apiVersion: v1\nkind: Service\nmetadata: &a {name: a, b: *a}\n",
		"own merge":          "apiVersion: v1\nkind: Service\nmetadata: &a {name: a, <<: *a}\n",
		"own list merge":     "apiVersion: v1\nkind: Service\nmetadata: {name: a, <<: &a [*a]}\n",
		"list of itself":     "apiVersion: v1\nkind: List\nitems: &i\n- &l {apiVersion: v1, kind: List, items: *i}\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if !strings.HasPrefix(text, "api") && !strings.ContainsAny(text[:1], "[{") {
				text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}\n" + text
			}
			write(t, "a.yaml", text+"\n---\n"+service("after"))
			start := time.Now()
			services, problems := loaded(t, ".")
			t.Logf("%v", time.Since(start))
			if services != "after" {
				t.Errorf("services %q", services)
			}
			if !strings.HasPrefix(problems, "a.yaml:") || len(problems) > 1000 {
				t.Errorf("problems: %.1000s", problems)
			}
		})
	}
}

// TestPositionConcurrently is for the race detector.
func TestPositionConcurrently(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"a", "b"} {
		write(t, name+".yaml", service(name))
	}
	m, err := Load(".")
	must(t, err)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			name := []string{"a", "b"}[i%2]
			for range 50 {
				file, line, ok := m.Position(ingress.Object{Kind: "Service", Namespace: "default", Name: name}, "spec.ports[0]")
				if file != name+".yaml" || line != 4 || !ok {
					t.Errorf("got %s:%d %t", file, line, ok)
					return
				}
			}
		})
	}
	all.Wait()
}

// TestReasons: each has a text, and each is named once.
func TestReasons(t *testing.T) {
	seen := make(map[ingress.Reason]bool)
	for _, r := range append(Reasons(), ingress.Reasons()...) {
		if seen[r.Reason] || r.Doc == "" {
			t.Errorf("%s is there twice, or has no text", r.Reason)
		}
		seen[r.Reason] = true
	}
}

// many writes n sets of an Ingress, a Service and an EndpointSlice, one file each.
func many(t testing.TB, dir string, n int) {
	t.Helper()
	for i := range n {
		write(t, filepath.Join(dir, fmt.Sprintf("%d", i%100), fmt.Sprintf("app%d.yaml", i)), app(i, 1))
	}
}

func app(i, address int) string {
	return fmt.Sprintf(`apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: app%[1]d
  namespace: shop
spec:
  ingressClassName: fairlead
  rules:
  - host: app%[1]d.example
    http:
      paths:
      - path: /
        pathType: Prefix
        backend:
          service:
            name: app%[1]d
            port: {number: 80}
---
apiVersion: v1
kind: Service
metadata: {name: app%[1]d, namespace: shop}
spec:
  ports:
  - {name: http, port: 80, targetPort: 8080}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: app%[1]d-1
  namespace: shop
  labels: {kubernetes.io/service-name: app%[1]d}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints:
- addresses: [10.0.0.%[2]d]
`, i, address)
}

const benchApps = 3334 // some 10,000 objects

func BenchmarkLoad(b *testing.B) {
	dir := b.TempDir()
	many(b, dir, benchApps)
	b.ReportAllocs()
	for b.Loop() {
		m, err := Load(dir)
		if err != nil || len(m.Problems()) > 0 || len(m.Snapshot().Ingresses) != benchApps {
			b.Fatal(err, m.Problems())
		}
	}
}

// BenchmarkReload reads again after one of the files changed.
func BenchmarkReload(b *testing.B) {
	dir := b.TempDir()
	many(b, dir, benchApps)
	name := types.NamespacedName{Namespace: "shop", Name: "app5"}
	load := func(l *loader) reading {
		tree := newTree()
		if err := tree.walk(dir); err != nil {
			b.Fatal(err)
		}
		return l.load(tree, func(string) bool { return false }, 0)
	}
	last := load(load(new(loader)).next)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		want := fmt.Sprintf("10.0.0.%d", i%200+2)
		write(b, dir+"/5/app5.yaml", app(5, i%200+2))
		r := load(last.next)
		s := r.manifests.Snapshot()
		services, other := diff(last.manifests.Snapshot(), s)
		if got := s.Slices[name][0].Endpoints[0].Addresses[0]; got != want || other || len(services) != 1 {
			b.Fatalf("got %s, want %s; changed: %v, %t", got, want, services, other)
		}
		last = r
	}
}

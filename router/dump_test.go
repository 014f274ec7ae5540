package router

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestWriteTo(t *testing.T) {
	routes := mustRoutes(t, `
		* - Default shop/other:80 shop/catch-all
		* /status Exact shop/status:80 shop/catch-all
		*.shop.example / Prefix shop/wild:80 shop/wild
		*.a.example / Prefix shop/wild:80 shop/wild
		Shop.Example. - Default shop/default:80 shop/web
		Shop.Example. /b ImplementationSpecific shop/b:80 shop/web
		Shop.Example. /b/ Prefix shop/b:80 shop/web
		Shop.Example. /a-b Prefix shop/ab:80 shop/web
		Shop.Example. //a/c Prefix shop/ac:80 shop/web
		Shop.Example. /a Exact shop/a:80 shop/web
		Shop.Example. - Prefix shop/root:80 shop/web
		Shop.Example. - HostOnly - shop/redundant
		lonely.example - HostOnly - shop/lonely
		a..b / Prefix shop/never:80 shop/never`)
	routes = append(routes, &Route{
		Host: "odd.example", Path: "/sp ace\n\x7f%41ü", PathType: Exact, Target: "", Origin: Origin{Namespace: "n s"},
	})
	const want = `a..b / Prefix shop/never:80 shop/never
lonely.example - HostOnly - shop/lonely
odd.example /sp%20ace%0A%7F%41ü Exact - n%20s/
shop.example / Prefix shop/root:80 shop/web
shop.example /a Exact shop/a:80 shop/web
shop.example /a-b Prefix shop/ab:80 shop/web
shop.example //a/c Prefix shop/ac:80 shop/web
shop.example /b/ Prefix shop/b:80 shop/web
shop.example /b ImplementationSpecific shop/b:80 shop/web
shop.example - Default shop/default:80 shop/web
*.a.example / Prefix shop/wild:80 shop/wild
*.shop.example / Prefix shop/wild:80 shop/wild
* /status Exact shop/status:80 shop/catch-all
* - Default shop/other:80 shop/catch-all
`
	table, _ := Build(routes)
	var b bytes.Buffer
	n, err := table.WriteTo(&b)
	if err != nil || n != int64(b.Len()) {
		t.Errorf("WriteTo = %d, %v, want %d and no error", n, err, b.Len())
	}
	if b.String() != want {
		t.Errorf("dump:\n%s\nwant:\n%s", b.String(), want)
	}
	if got := table.String(); got != want {
		t.Errorf("String:\n%s\nwant:\n%s", got, want)
	}
	// Routes has the routes of these lines, in their order.
	served := table.Routes()
	lines := strings.Split(strings.TrimSuffix(want, "\n"), "\n")
	if len(served) != len(lines) {
		t.Fatalf("%d routes, want %d", len(served), len(lines))
	}
	for i, r := range served {
		if target := strings.Fields(lines[i])[3]; orDash(r.Target) != target {
			t.Errorf("route %d leads to %q, want %q", i, r.Target, target)
		}
	}
}

// The dump reads back as the routes that make the same dump.
func TestDumpReadsBack(t *testing.T) {
	first, _ := Build(append(fleet(30), wideHost(100)...))
	text := first.String()
	routes, err := parseRoutes(text)
	if err != nil {
		t.Fatal(err)
	}
	second, conflicts := Build(routes)
	if got := second.String(); got != text || len(conflicts) != 0 {
		t.Errorf("dump:\n%s\nread back:\n%s\nconflicts %v", text, got, conflicts)
	}
}

var errFull = errors.New("full")

// fullWriter takes as many bytes as it says.
type fullWriter int

func (w *fullWriter) Write(p []byte) (int, error) {
	n := min(len(p), int(*w))
	*w -= fullWriter(n)
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

func TestWriteToReturnsTheError(t *testing.T) {
	table, _ := Build(fleet(1000))
	w := fullWriter(10_000)
	if n, err := table.WriteTo(&w); n != 10_000 || !errors.Is(err, errFull) {
		t.Errorf("WriteTo = %d, %v, want 10000 and the writer's error", n, err)
	}
}

package oracle

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fairlead-ingress/fairlead/e2e/site"
)

// group is cases that can be served together.
type group struct {
	name  string
	cases []*Case
}

// groups puts cases together that neither affect other hosts nor want another ConfigMap.
func groups(cases []*Case) []*group {
	byKey := map[string]*group{}
	for _, c := range cases {
		configured, _ := json.Marshal(c.ConfigMap) // of strings: it cannot fail
		key := string(configured)
		if c.Exclusive {
			key = c.Name
		}
		if byKey[key] == nil {
			byKey[key] = &group{name: c.Name}
		}
		byKey[key].cases = append(byKey[key].cases, c)
	}
	return slices.Collect(maps.Values(byKey))
}

// report is a file, from the environment, that is written with what differs, for whoever builds the next feature.
var report = os.Getenv("ORACLE_REPORT")

func TestReplay(t *testing.T) {
	cases, err := Load("testdata/corpus.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	if only := os.Getenv("ORACLE_CASES"); only != "" {
		cases = slices.DeleteFunc(cases, func(c *Case) bool { return !strings.HasPrefix(c.Name, only) })
	}
	binary, err := site.Build("../..", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b, err := StartBackends()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() }) // after a replay nobody waits for it
	var mu sync.Mutex
	found := map[string][][]string{}
	t.Run("groups", func(t *testing.T) {
		for _, g := range groups(cases) {
			t.Run(g.name, func(t *testing.T) {
				t.Parallel()
				for name, differences := range replayGroup(t, binary, b, g) {
					mu.Lock()
					found[name] = differences
					mu.Unlock()
				}
			})
		}
	})
	judge(t, cases, found)
}

func replayGroup(t *testing.T, binary string, b *Backends, g *group) map[string][][]string {
	dir := t.TempDir()
	if err := b.WriteManifests(dir, g.cases); err != nil {
		t.Fatal(err)
	}
	p, err := site.StartProcess(binary,
		"serve", "--manifests", dir, "--access-log", "off",
		"--http-address", "127.0.0.1:0", "--https-address", "127.0.0.1:0", "--admin-address", "127.0.0.1:0",
		"--shutdown-delay", "0s", "--ingress-class", "nginx", "--configmap", Settings(g.cases))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	}()
	var mu sync.Mutex
	found := map[string][][]string{}
	var wg sync.WaitGroup
	limit := make(chan struct{}, 8)
	for _, c := range g.cases {
		limit <- struct{}{}
		wg.Go(func() {
			defer func() { <-limit }()
			differences, err := b.Replay(c, p.Address("http"), p.Address("https"))
			if err != nil {
				t.Errorf("case %s: %v", c.Name, err)
			}
			mu.Lock()
			found[c.Name] = differences
			mu.Unlock()
		})
	}
	wg.Wait()
	return found
}

// judge compares what differs with the table of what is known to.
func judge(t *testing.T, cases []*Case, found map[string][][]string) {
	table, err := LoadDifferences("testdata/differences.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string][]int{}
	for _, d := range table {
		known[d.Case] = d.Exchanges
	}
	var out strings.Builder
	same := 0
	for _, c := range cases {
		var differ []int
		for i, d := range found[c.Name] {
			if len(d) == 0 {
				continue
			}
			differ = append(differ, i+1)
			r := &c.Exchanges[i].Request
			text := fmt.Sprintf("%s %d (%s %s %.60s): %s", c.Name, i+1, r.Method, r.Scheme, r.Path, strings.Join(d, "; "))
			out.WriteString(text + "\n")
			if !slices.Contains(known[c.Name], i+1) {
				t.Errorf("not in differences.txt: %s", text)
			}
		}
		for _, exchange := range known[c.Name] {
			if !slices.Contains(differ, exchange) {
				t.Errorf("in differences.txt, and the same now: %s %d", c.Name, exchange)
			}
		}
		if len(differ) == 0 {
			same++
		}
	}
	t.Logf("%d of %d cases are the same", same, len(cases))
	if report != "" {
		if err := os.WriteFile(report, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

var update = flag.Bool("update", false, "rewrite docs/differences.md")

// The page of the differences is made of the table, and names only cases that there are.
func TestDifferencesPage(t *testing.T) {
	cases, err := Load("testdata/corpus.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	table, err := LoadDifferences("testdata/differences.txt")
	if err != nil {
		t.Fatal(err)
	}
	titles := map[string]string{}
	for _, c := range cases {
		titles[c.Name] = c.Title
	}
	for i, d := range table {
		if _, ok := titles[d.Case]; !ok || i > 0 && table[i-1].Case >= d.Case {
			t.Errorf("%s is no case, or is out of order", d.Case)
		}
	}
	const page = "../../docs/differences.md"
	want := Document(table, titles)
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil || string(got) != want {
		t.Errorf("%s is not what differences.txt comes to; -update rewrites it: %v", page, err)
	}
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The page gets the tables of a report that was kept, and nothing else of it changes.
func TestWritePage(t *testing.T) {
	dir := t.TempDir()
	r := result("1k-64", map[string][]float64{"fairlead": {9, 9, 9, 9, 9}, "nginx": {10, 10, 10, 10, 10}})
	r.Subjects[0].Counts.Syscalls = map[string]float64{"read": 2, "write": 2}
	r.Faults = []string{"haproxy: it | ended\nand said so"}
	attacks := []Attack{{Sent: 100, P50: 200, P99: 300, P999: 400}}
	report := &Report{
		Machine: Machine{Programs: map[string]string{"fairlead": "fairlead v1 (/tmp/dir/fairlead)"}},
		Rounds:  5, Seconds: 3, Rows: []RowResult{r}, Verdicts: verdicts([]RowResult{r}),
		Open: []OpenResult{{Row: Row{Name: "open-1k-64"}, Subjects: []OpenSubject{{Name: "nginx", Saturation: 200, Rates: []*OpenRate{{Rate: 100, Attacks: attacks, Direct: attacks}}}}}},
	}
	kept, page := filepath.Join(dir, "report.json"), filepath.Join(dir, "page.md")
	if err := report.writeJSON(kept); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(page, []byte("# Before\n"+pageBegin+"what was there\n"+pageEnd+"after\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time changes nothing
		if err := run(t.Context(), []string{"-from", kept, "-md", page}, new(strings.Builder), new(strings.Builder)); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"fairlead: fairlead v1.\n", "# Before\n" + pageBegin, pageEnd + "after\n", "| 1k-64 | fairlead | 9.00 |", "| 1k-64 | nginx | 10.00 |", "| 0 % | 0.90 |", "| 4.00 |",
		`haproxy: it \| ended |`, "| open-1k-64 | nginx | 100 | 50 % | 200 | 300 | 400 | 200 | 300 | 400 |", "| 1k-64, of nginx | 1.00 | 0.90 | met |",
	} {
		if strings.Count(string(text), want) != 1 {
			t.Errorf("want %q once in\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "what was there") {
		t.Error("the earlier text is still there")
	}
}

func TestWritePageMistakes(t *testing.T) {
	dir := t.TempDir()
	page := filepath.Join(dir, "page.md")
	if err := os.WriteFile(page, []byte(pageEnd+pageBegin), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{page, filepath.Join(dir, "none.md")} {
		if err := new(Report).writePage(file); err == nil {
			t.Errorf("%s: want an error", file)
		}
	}
	if _, err := readReport(page); err == nil {
		t.Error("want an error of what is no report")
	}
}

package explain

import (
	"fmt"
	"io"
	"strings"
)

// WriteText writes the Explanation for people, with colours when colour is set.
func (e *Explanation) WriteText(w io.Writer, colour bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", e.URL, paint(e.Verdict, colour))
	if e.Status != nil {
		fmt.Fprintf(&b, ", status %d", *e.Status)
	}
	b.WriteByte('\n')
	if r := e.Route; r != nil {
		fmt.Fprintf(&b, "  route: %s %s %s of Ingress %s -> %s\n", r.Host, orElse(r.Path, "-"), r.PathType, r.Ingress, orElse(r.Backend, "-"))
	}
	b.WriteByte('\n')
	for i := range e.Steps {
		e.Steps[i].writeText(&b, colour)
	}
	if e.FirstBroken != nil {
		s := e.Step(*e.FirstBroken)
		fmt.Fprintf(&b, "\nFirst broken: %s: %s\n  %s\n", s.Name, s.Detail, s.Remedy)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (s *Step) writeText(b *strings.Builder, colour bool) {
	fmt.Fprintf(b, "%-13s %s%s %s: %s\n", s.Name, paint(s.Verdict, colour), strings.Repeat(" ", 7-len(s.Verdict)), s.Reason, s.Detail)
	if s.Remedy != "" && (s.Verdict == Broken || s.Verdict == Warning) {
		fmt.Fprintf(b, "%-13s         -> %s\n", "", s.Remedy)
	}
}

func paint(v Verdict, colour bool) string {
	if !colour {
		return string(v)
	}
	code := map[Verdict]string{OK: "32", Served: "32", Redirected: "32", Denied: "33", Warning: "33", Broken: "31", Skipped: "90"}[v]
	return "\x1b[" + code + "m" + string(v) + "\x1b[0m"
}

package explain_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/fairlead-ingress/fairlead/k8s/explain"
	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// Doctor finds what is wrong anywhere, and puts what is broken first.
func TestDoctor(t *testing.T) {
	for _, c := range []struct{ name, objects, without, want string }{
		{"a healthy cluster", "", "", ""},
		{"no class", "", "IngressClass fairlead", "class broken ClassMissing\nclass broken ClassNotFound\nhost broken NoHostRule"},
		{"two faults", `
kind: Service
metadata: {namespace: fairlead, name: fairlead}
spec: {type: NodePort, clusterIP: 10.96.0.9, selector: {app.kubernetes.io/name: fairlead}, ports: [{name: http, port: 80, nodePort: 30080}]}
`, "EndpointSlice shop/web-1", "endpoints broken NoEndpoints\nlistener warning NodePortOnly"},
		{"DNS is down", `
kind: Pod
metadata: {namespace: kube-system, name: coredns-1, labels: {k8s-app: kube-dns}}
spec: {containers: [{name: coredns, image: coredns}]}
status: {phase: Running, conditions: [{type: Ready, status: "False"}]}
`, "", "dns broken DNSPodsNotReady"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, problems := fixture(t, []byte(c.objects), []string{c.without})
			_, o, _ := question(t, []string{"http://any/"})
			state, done := explain.Offline(s, o, problems)
			defer done()
			found := explain.New(state).Doctor()
			var got []string
			for _, f := range found.Findings {
				got = append(got, f.Name+" "+string(f.Verdict)+" "+string(f.Reason))
				if f.Verdict == explain.Broken && !strings.Contains(f.Remedy, ": kubectl ") {
					t.Errorf("remedy %q does not end with a command", f.Remedy)
				}
			}
			for want := range strings.Lines(c.want) {
				if !strings.Contains(strings.Join(got, "\n")+"\n", strings.TrimSpace(want)) {
					t.Errorf("got %q, want %q among it", got, want)
				}
			}
			if c.want == "" && len(got) > 0 {
				t.Errorf("got %q", got)
			}
			for i := 1; i < len(found.Findings); i++ {
				if found.Findings[i].Verdict == explain.Broken && found.Findings[i-1].Verdict != explain.Broken {
					t.Errorf("not the worst first: %q", got)
				}
			}
			if found.Broken() != strings.Contains(c.want, "broken") {
				t.Errorf("broken is %v", found.Broken())
			}
		})
	}
}

func TestWriteText(t *testing.T) {
	s, _ := fixture(t, nil, []string{"EndpointSlice shop/web-1"})
	state, done := explain.Offline(s, ingress.Options{}, nil)
	defer done()
	q, _, _ := question(t, []string{"http://shop.example/"})
	e := explain.New(state).Explain(q)
	var plain, coloured bytes.Buffer
	if err := e.WriteText(&plain, false); err != nil {
		t.Fatal(err)
	}
	if err := e.WriteText(&coloured, true); err != nil {
		t.Fatal(err)
	}
	if text := plain.String(); strings.Contains(text, "\x1b") || !strings.Contains(text, "First broken: endpoints: ") {
		t.Errorf("%s", text)
	}
	if !strings.Contains(coloured.String(), "\x1b[31mbroken\x1b[0m") {
		t.Errorf("%q", coloured.String())
	}
	for _, name := range explain.StepNames() {
		if !strings.Contains(plain.String(), "\n"+name+" ") {
			t.Errorf("no %s in %s", name, plain.String())
		}
	}
}

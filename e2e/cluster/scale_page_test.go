package cluster

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// scalePage is docs/scale.md.
func scalePage(columns []scaleColumn) string {
	var b strings.Builder
	b.WriteString(`# Scale

Made by a test: ` + "`cd e2e/cluster && FAIRLEAD_E2E_SCALE=full go test -count=1 -timeout 30m -run TestScale .`" + `, as root. Do not edit.

A real API server with etcd, one instance of fairlead, the test and its backends share two cores, which may be busy with
other work too, so times are those of all of them together. Each Ingress has a host, four paths, and a headless Service of its own with one endpoint; EndpointSlices are
made through the API and stand for Pods. Objects have the labels and annotations of a chart. The instance leads: it writes
the status of every Ingress too.

What loading leaves behind is returned to the system once. When more than 64 MiB of the heap are live, it grows by half before it is
collected and not by as much again (` + "`GOGC`" + ` in the environment has the last word); the manifests of ` + "`deploy/`" + ` set ` + "`GOMEMLIMIT`" + ` beside that.

`)
	row := func(name string, cell func(scaleColumn) string) {
		fmt.Fprintf(&b, "| %s |", name)
		for _, c := range columns {
			fmt.Fprintf(&b, " %s |", cell(c))
		}
		b.WriteString("\n")
	}
	row("Ingresses", func(c scaleColumn) string { return fmt.Sprint(c.size) })
	b.WriteString("|---|" + strings.Repeat("---:|", len(columns)) + "\n")
	ms := func(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }
	row("start of the process to ready", func(c scaleColumn) string { return ms(c.ready) })
	for _, change := range []struct {
		name string
		of   func(scaleColumn) percentiles
	}{
		{"Ingress change", func(c scaleColumn) percentiles { return c.ingress }},
		{"endpoint change", func(c scaleColumn) percentiles { return c.endpoint }},
	} {
		row(change.name+", accepted by the API server to served: p50", func(c scaleColumn) string { return ms(change.of(c).p50) })
		row("p99", func(c scaleColumn) string { return ms(change.of(c).p99) })
		row("longest", func(c scaleColumn) string { return ms(change.of(c).longest) })
	}
	storm := func(r stormResult) string { return fmt.Sprintf("%.1f %% at %.0f/s", 100*r.share, r.perSecond) }
	row("share of one core, Ingress changes", func(c scaleColumn) string { return storm(c.ingressStorm) })
	row("share of one core, endpoint changes", func(c scaleColumn) string { return storm(c.endpointStorm) })
	row("resident when all is written", func(c scaleColumn) string { return fmt.Sprintf("%d MiB", c.residentReady) })
	row("resident after all changes", func(c scaleColumn) string { return fmt.Sprintf("%d MiB", c.residentEnd) })
	return b.String()
}

// statusesWritten reports whether every Ingress has an address.
func statusesWritten(t *testing.T, f *Fleet) bool {
	t.Helper()
	for i := range fleetNamespaces {
		namespace, _ := f.name(i)
		list, err := f.Client.NetworkingV1().Ingresses(namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, ing := range list.Items {
			if len(ing.Status.LoadBalancer.Ingress) == 0 {
				return false
			}
		}
	}
	return true
}

package observe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
)

func readDoc(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var metricRow = regexp.MustCompile("(?m)^\\| `(fairlead_[a-z_]+)` \\| ([a-z]+) \\|([^|]*)\\| (.*) \\|$")

// docs/metrics.md has a row for each metric, with its type, labels and buckets, and no others.
func TestMetricsAreDocumented(t *testing.T) {
	documented := make(map[string]string)
	for _, row := range metricRow.FindAllStringSubmatch(readDoc(t, "metrics.md"), -1) {
		labels := slices.Sorted(slices.Values(strings.FieldsFunc(row[3], func(r rune) bool { return strings.ContainsRune("`, ", r) })))
		text := fmt.Sprint(row[2], labels)
		if _, buckets, ok := strings.Cut(row[4], "Buckets: "); ok {
			text += buckets
		}
		if _, ok := documented[row[1]]; ok {
			t.Errorf("%s has two rows", row[1])
		}
		documented[row[1]] = text
	}
	families, err := everything(t).Gather()
	if err != nil {
		t.Fatal(err)
	}
	there := make(map[string]string)
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "fairlead_") {
			continue
		}
		there[f.GetName()] = describe(f)
		if f.GetHelp() == "" {
			t.Errorf("%s has no help", f.GetName())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(there)) {
		if documented[name] != there[name] {
			t.Errorf("%s is %q, documented as %q", name, there[name], documented[name])
		}
		delete(documented, name)
	}
	for name := range documented {
		t.Errorf("%s is documented and does not exist", name)
	}
}

func describe(f *dto.MetricFamily) string {
	m := f.GetMetric()[0]
	var labels []string
	for _, l := range m.GetLabel() {
		labels = append(labels, l.GetName())
	}
	slices.Sort(labels)
	text := fmt.Sprint(strings.ToLower(f.GetType().String()), labels)
	var buckets []string
	for _, b := range m.GetHistogram().GetBucket() {
		buckets = append(buckets, strconv.FormatFloat(b.GetUpperBound(), 'g', -1, 64))
	}
	return text + strings.Join(buckets, ", ")
}

// The number of series a route that docs/metrics.md names is right.
func TestDocumentedSeriesOfARoute(t *testing.T) {
	const want = classes + outcomes + 2 /* bytes */ + 1 /* aborts */ + 1 /* retries */ + 1 /* ejections */ + 1 /* the histogram */
	if text := fmt.Sprintf("at most\n%d series beside the buckets", want); !strings.Contains(readDoc(t, "metrics.md"), text) {
		t.Errorf("docs/metrics.md does not say %q", text)
	}
}

var fieldRow = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (string|number|boolean) \\|")

// docs/access-log.md lists the fields of a line in their order, with their types.
func TestAccessLogIsDocumented(t *testing.T) {
	doc := readDoc(t, "access-log.md")
	var documented []string
	for _, row := range fieldRow.FindAllStringSubmatch(doc, -1) {
		documented = append(documented, row[1]+" "+row[2])
	}
	if got := fieldsOf(t, line(t, JSON, shopRule, plainExchange())); !slices.Equal(got, documented) {
		t.Errorf("fields: got\n%s\ndocumented are\n%s", strings.Join(got, "\n"), strings.Join(documented, "\n"))
	}
	_, example, _ := strings.Cut(doc, "```json\n")
	example, _, _ = strings.Cut(example, "\n```")
	if got := fieldsOf(t, example); !slices.Equal(got, documented) {
		t.Errorf("the example has the fields\n%s", strings.Join(got, "\n"))
	}
	_, example, _ = strings.Cut(doc, "```\n203.")
	example, _, _ = strings.Cut(example, "\n")
	match(t, "203."+example, `203.0.113.7 - - [<D>] "GET /cart?id=7 HTTP/2.0" 200 498 "-" "curl/8.5.0" 27 <T> [shop-front-http] [] `+
		`10.1.0.4:8080, 10.1.0.7:8080 0, 498 <T>, <T> 502, 200 <ID>`)
	for _, bound := range []string{
		fmt.Sprintf("method %d, protocol %d, host %d, target 8,192, `User-Agent` 1,024, `Referer` 2,048", maxMethod, maxProto, maxHost),
		fmt.Sprintf("request ID %d, error %d", maxRequestID, maxErr),
	} {
		if !strings.Contains(doc, bound) {
			t.Errorf("docs/access-log.md does not say %q", bound)
		}
	}
}

// fieldsOf lists the keys of a flat JSON object with the types of their values, in order.
func fieldsOf(t *testing.T, object string) []string {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(object))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	var fields []string
	for d.More() {
		key, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		v, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		typ := map[string]string{"string": "string", "float64": "number", "bool": "boolean"}[fmt.Sprintf("%T", v)]
		fields = append(fields, fmt.Sprintf("%s %s", key, typ))
	}
	return fields
}

// The handler serves classic buckets as text and native histograms as protobuf.
func TestHandler(t *testing.T) {
	h := everything(t).Handler()
	for accept, want := range map[string]struct{ contentType, body string }{
		"": {"text/plain", "fairlead_request_duration_seconds_bucket{ingress=\"web\",namespace=\"ns\",service=\"\",le=\"0.005\"} 1\n"},
		"application/openmetrics-text;version=1.0.0": {"application/openmetrics-text", "fairlead_build_info{"},
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited": {
			"application/vnd.google.protobuf", "fairlead_request_duration_seconds",
		},
	} {
		r := httptest.NewRequest("GET", "/metrics", nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), want.contentType) || !bytes.Contains(w.Body.Bytes(), []byte(want.body)) {
			t.Errorf("%q: got %d, %s, want %s with %q", accept, w.Code, w.Header().Get("Content-Type"), want.contentType, want.body)
		}
	}
}

// Histograms are native ones too, and those stay small whatever durations come.
func TestNativeHistogram(t *testing.T) {
	m := NewMetrics(Options{})
	record, x := m.Route(shopRule), plainExchange()
	for d := 1; d > 0 && d < 1<<45; d += d/40 + 1 {
		x.Duration = time.Duration(d)
		record(x)
	}
	families, err := m.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "fairlead_request_duration_seconds" {
			continue
		}
		h := f.GetMetric()[0].GetHistogram()
		if n := len(h.GetPositiveDelta()); h.Schema == nil || n == 0 || n > octaves*perOctave {
			t.Errorf("schema %v, %d buckets, want at most %d", h.Schema, n, octaves*perOctave)
		}
		return
	}
	t.Fatal("no histogram")
}

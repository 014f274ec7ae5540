package manifest

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	kyaml "sigs.k8s.io/yaml"
)

// words are scalars that versions of YAML disagree on, and others.
var words = []string{
	"yes", "No", "on", "OFF", "y", "N", "true", "True", "tRUE", "null", "~", "", "Null",
	"1", "-1", "+1", "0777", "0o17", "0x1F", "0b11", "1_000", "1.5", "-1.5e3", "1e3", ".5", "5.", "1.0", "0.1",
	"9223372036854775807", "9223372036854775808", "18446744073709551615", "123456789012345678901234567890",
	"2024-01-01", "2024-01-01T00:00:00Z", "12:30:45", "190:20:30", "1.2.3", "10.0.0.1", "80/TCP",
	"'yes'", `"yes"`, "'1'", `"1"`, `"\u00e9\t\x41"`, "'it''s'", "a b", "é", "😀", `"\U0001F600"`,
	"!!str yes", "!!str 1", "!!int 1", "!!int '1'", "!!float 1", "!!bool true", "!!null null", "!custom x",
	"<<", "'<<'", "=", "-", "a: b", "[yes, 1]", "{yes: 1}", "{1: a, 1.5: b, true: c, ~: d, on: e}",
	"|\n  text\n  more\n", ">\n  folded\n  text\n", "|-\n  yes\n", "\n  plain\n  over lines\n",
	"&a x", "[&a x, *a]", "{<<: {a: 1, b: 2}, b: 3}", "{<<: [{a: 1}, {a: 2, c: 3}]}", "{b: 3, <<: {b: 2}}",
	"a\u2028b", `"<&>"`, `"a\
   b"`,
}

// TestEncodeAsKubectl compares with the conversion that kubectl uses.
func TestEncodeAsKubectl(t *testing.T) {
	compared := 0
	for _, w := range words {
		for _, text := range []string{"v: " + w, "- " + w, w + ": v", "{v: " + strings.TrimSpace(w) + "}"} {
			if sameAsKubectl(t, text) {
				compared++
			}
		}
	}
	if compared < 2*len(words) {
		t.Errorf("only %d texts were understood by both", compared)
	}
}

// sameAsKubectl reports whether both sides understood text; when they did, it compares.
func sameAsKubectl(t *testing.T, text string) bool {
	t.Helper()
	roots, err := parseYAML(text)
	if err != nil || len(roots) != 1 {
		return false
	}
	var e encoder
	if err := e.encode(roots[0]); err != nil {
		return false
	}
	want, err := kyaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		return false
	}
	var a, b any
	if err := json.Unmarshal(e.json, &a); err != nil {
		t.Errorf("%q gives %q, which is not JSON: %v", text, e.json, err)
		return false
	}
	if err := json.Unmarshal(want, &b); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("%q:\ngot  %s\nwant %s", text, e.json, want)
	}
	return true
}

func TestEncodePaths(t *testing.T) {
	roots, err := parseYAML("a:\n  b: [x, {c: w}]\n  d.e/f: z\ng: 1\n")
	must(t, err)
	var e encoder
	must(t, e.encode(roots[0]))
	for value, want := range map[string]string{
		`"x"`: "a.b[0]", `"w"`: "a.b[1].c", `"z"`: "a[d.e/f]", "1": "g", `{"c"`: "a.b[1]",
	} {
		at := strings.Index(string(e.json), value)
		if got := e.path(e.at(at + 1)); got != want {
			t.Errorf("%s is at %q, want %q", value, got, want)
		}
	}
}

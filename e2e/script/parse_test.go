package script

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	s, err := Parse("x", []byte(`Why.
-- a.yaml --
kind: Service
-- later/b.yaml --
kind: Secret
-- script --
flags --one --two=2
only manifests: it says so

# A comment.
wait GET https://a.example:8443/%2f..//x?q=/y?z
> X-Name: a: b
>> first
>> second
with http/2
with sni
with trailer T: 1
code == 201
seen.header x-name != a
header server absent
apply later/b.yaml
RAW http
| GET /\x00 HTTP/1.1
|
error present
delete b.yaml
repeat 3 WS ws://a.example
send hello
backends == 2
`))
	if err != nil {
		t.Fatal(err)
	}
	none := ""
	want := &Script{
		Name:  "x",
		Files: []File{{Name: "a.yaml", Data: []byte("kind: Service\n")}, {Name: "later/b.yaml", Data: []byte("kind: Secret\n"), Later: true}},
		Flags: []string{"--one", "--two=2"},
		Only:  "it says so",
		Steps: []Step{
			{Line: 11, Request: &Request{
				Line: 11, Text: "wait GET https://a.example:8443/%2f..//x?q=/y?z", Mode: Wait, Repeat: 1,
				Method: "GET", Scheme: "https", Host: "a.example:8443", Target: "/%2f..//x?q=/y?z", Proto: "HTTP/2",
				Header: []Field{{"X-Name", "a: b"}}, Trailer: []Field{{"T", "1"}}, Body: []byte("first\nsecond"), SNI: &none,
				Expect: []Expectation{
					{Line: 18, Text: "code == 201", Subject: "code", Op: "==", Value: "201"},
					{Line: 19, Text: "seen.header x-name != a", Subject: "seen.header", Name: "x-name", Op: "!=", Value: "a"},
					{Line: 20, Text: "header server absent", Subject: "header", Name: "server", Op: "absent"},
				},
			}},
			{Line: 21, Apply: "later/b.yaml"},
			{Line: 22, Request: &Request{
				Line: 22, Text: "RAW http", Repeat: 1, Scheme: "http", Proto: "HTTP/1.1", Raw: []byte("GET /\x00 HTTP/1.1\r\n\r\n"),
				Expect: []Expectation{{Line: 25, Text: "error present", Subject: "error", Op: "present"}},
			}},
			{Line: 26, Delete: "b.yaml"},
			{Line: 27, Request: &Request{
				Line: 27, Text: "repeat 3 WS ws://a.example", Repeat: 3,
				Method: "WS", Scheme: "http", Host: "a.example", Target: "/", Proto: "HTTP/1.1", Send: []string{"hello"},
				Expect: []Expectation{{Line: 29, Text: "backends == 2", Subject: "backends", Op: "==", Value: "2"}},
			}},
		},
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got\n%+v\nwant\n%+v", s, want)
		for i := range min(len(s.Steps), len(want.Steps)) {
			t.Logf("step %d: got %+v, want %+v", i, s.Steps[i].Request, want.Steps[i].Request)
		}
	}
}

// Each mistake is named with its line; a script with a mistake must not be played as if the
// line were not there.
func TestParseMistakes(t *testing.T) {
	tests := map[string]struct{ script, want string }{
		"no request":                 {"", "at least one request"},
		"expectation first":          {"code == 200", "a request before"},
		"unknown subject":            {"GET http://a/\ncodes == 200", `got "codes == 200"`},
		"unknown operator":           {"GET http://a/\ncode = 200", "want an operator"},
		"field without a name":       {"GET http://a/\nheader == x", "want an operator"},
		"absent with a value":        {"GET http://a/\nheader x absent y", "want nothing after it"},
		"bad pattern":                {"GET http://a/\nbody ~ (", "missing closing )"},
		"contains nothing":           {"GET http://a/\nbody contains", "want a text"},
		"no scheme":                  {"GET a.example/\ncode == 200", "a request before"},
		"modifier after":             {"GET http://a/\ncode == 200\n> A: b", "before the first expectation"},
		"header without colon":       {"GET http://a/\n> A b", "want `Name: value`"},
		"unknown modifier":           {"GET http://a/\nwith speed", `got "speed"`},
		"size of body":               {"GET http://a/\nwith body lots", `got "lots"`},
		"raw line in a request":      {"GET http://a/\n| x", "want a raw request"},
		"raw line with an escape":    {"RAW http\n| \\q", "want only the escapes"},
		"message in a request":       {"GET http://a/\nsend x", "want a WebSocket"},
		"unknown section":            {"apply b.yaml\nGET http://a/", `no section of the archive is named "b.yaml"`},
		"deleting what is not there": {"delete b.yaml\nGET http://a/", `no section of the archive is named "b.yaml"`},
		"flags too late":             {"GET http://a/\nflags --x", "before the first request"},
		"only what":                  {"only cluster\nGET http://a/", "want `only manifests: REASON`"},
		"repeat nothing":             {"repeat 0 GET http://a/", "at least 1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("x", []byte("-- script --\n"+tt.script+"\n"))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
	if _, err := Parse("x", []byte("-- a.yaml --\n")); err == nil {
		t.Error("an archive without a script is accepted")
	}
	_, err := Parse("x", []byte("one\ntwo\n-- a.yaml --\nthree\n-- script --\nGET http://a/\ncodes == 1\nwith x\n"))
	for _, want := range []string{"x:7: ", "x:8: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// FuzzParse: no text makes the parser panic, and what it accepts has steps.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("../testdata/*.txtar")
	if err != nil || len(files) == 0 {
		f.Fatalf("../testdata: want scripts as seeds, got %d, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("-- script --\nRAW https\n| \\\"\\x\nwith\nsend\n>\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse("x", text)
		if err == nil && len(s.Steps) == 0 {
			t.Error("accepted without a step")
		}
	})
}

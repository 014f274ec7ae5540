package script

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/tools/txtar"
)

// Parse reads an archive: sections that hold objects and one section named "script". The
// error has every mistake, each with the line in the file.
func Parse(name string, data []byte) (*Script, error) {
	s := &Script{Name: name}
	archive := txtar.Parse(data)
	line := 1 + lines(string(archive.Comment)) // of the marker of the section at hand
	var text string
	var first int
	for _, f := range archive.Files {
		if f.Name == "script" {
			text, first = string(f.Data), line+1
		} else {
			s.Files = append(s.Files, File{Name: f.Name, Data: f.Data, Later: strings.HasPrefix(f.Name, "later/")})
		}
		line += 1 + lines(string(f.Data))
	}
	if first == 0 {
		return nil, fmt.Errorf("%s: want a section named script, found none", name)
	}
	p := parser{script: s}
	for i, line := range strings.Split(text, "\n") {
		p.line = first + i
		if err := p.statement(line); err != nil {
			p.errs = append(p.errs, fmt.Errorf("%s:%d: %w", name, p.line, err))
		}
	}
	if len(s.Steps) == 0 {
		p.errs = append(p.errs, fmt.Errorf("%s: want at least one request, found none", name))
	}
	return s, errors.Join(p.errs...)
}

func lines(s string) int { return strings.Count(s, "\n") }

type parser struct {
	script  *Script
	request *Request // the one that modifiers and expectations belong to, or nil
	line    int
	errs    []error
}

// requestLine is a request statement: how often, a method, a URL.
var requestLine = regexp.MustCompile(`^(?:(wait|stream|repeat [0-9]+) )?([A-Za-z-]+) ((?:https?|wss?)://\S*|admin:/\S*)$`)

var rawLine = regexp.MustCompile(`^(?:(wait|repeat [0-9]+) )?RAW (https?)$`)

func (p *parser) statement(text string) error {
	// Only trailing blanks have no meaning: a line of a raw request may begin with some.
	text = strings.TrimRight(text, " \t\r")
	if text == "" || strings.HasPrefix(text, "#") {
		return nil
	}
	if m := rawLine.FindStringSubmatch(text); m != nil {
		return p.begin(text, m[1], &Request{Scheme: m[2]})
	}
	if m := requestLine.FindStringSubmatch(text); m != nil {
		return p.begin(text, m[1], newRequest(m[2], m[3]))
	}
	word, rest, _ := strings.Cut(text, " ")
	switch word {
	case "apply", "delete":
		return p.edit(word, rest)
	case "flags":
		if len(p.script.Steps) > 0 {
			return errors.New("flags: want them before the first request")
		}
		p.script.Flags = append(p.script.Flags, strings.Fields(rest)...)
		return nil
	case "only":
		reason, ok := strings.CutPrefix(rest, "manifests: ")
		if !ok || reason == "" {
			return fmt.Errorf("want `only manifests: REASON`, got %q", text)
		}
		p.script.Only = reason
		return nil
	}
	if p.request == nil {
		return fmt.Errorf("want a request before %q", text)
	}
	switch word {
	case ">", ">>", "|", "with", "send":
		return p.modifier(word, rest, text)
	}
	return p.expectation(text)
}

func (p *parser) edit(verb, name string) error {
	p.request = nil
	for _, f := range p.script.Files {
		if verb == "apply" && f.Name == name {
			p.script.Steps = append(p.script.Steps, Step{Line: p.line, Apply: name})
			return nil
		}
		if verb == "delete" && path.Base(f.Name) == name {
			p.script.Steps = append(p.script.Steps, Step{Line: p.line, Delete: name})
			return nil
		}
	}
	return fmt.Errorf("%s: no section of the archive is named %q", verb, name)
}

func (p *parser) begin(text, mode string, r *Request) error {
	r.Line, r.Text, r.Repeat = p.line, text, 1
	if r.Proto == "" {
		r.Proto = "HTTP/1.1"
	}
	switch word, count, _ := strings.Cut(mode, " "); word {
	case "wait":
		r.Mode = Wait
	case "stream":
		r.Mode = Stream
	case "repeat":
		n, err := strconv.Atoi(count)
		if err != nil || n < 1 {
			return fmt.Errorf("repeat: want a count of at least 1, got %q", count)
		}
		r.Repeat = n
	}
	p.request = r
	p.script.Steps = append(p.script.Steps, Step{Line: p.line, Request: r})
	return nil
}

// newRequest splits the URL by hand: what is sent must be what the script says, byte for
// byte, and net/url would normalise it.
func newRequest(method, url string) *Request {
	r := &Request{Method: method}
	if target, ok := strings.CutPrefix(url, "admin:"); ok {
		r.Scheme, r.Target = "admin", target
		return r
	}
	scheme, rest, _ := strings.Cut(url, "://")
	r.Scheme = scheme
	switch scheme {
	case "ws":
		r.Scheme = "http"
	case "wss":
		r.Scheme = "https"
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	r.Host, r.Target = rest[:end], rest[end:]
	if !strings.HasPrefix(r.Target, "/") {
		r.Target = "/" + r.Target
	}
	return r
}

func (p *parser) modifier(word, rest, text string) error {
	r := p.request
	if len(r.Expect) > 0 {
		return fmt.Errorf("want %q before the first expectation of its request", text)
	}
	switch word {
	case ">":
		f, err := field(rest)
		r.Header = append(r.Header, f)
		return err
	case ">>":
		if r.Body != nil {
			r.Body = append(r.Body, '\n')
		}
		r.Body = append(r.Body, rest...)
		return nil
	case "send":
		if r.Method != "WS" {
			return errors.New("send: want a WebSocket (WS), this is another request")
		}
		r.Send = append(r.Send, rest)
		return nil
	case "|":
		if r.Method != "" {
			return errors.New("|: want a raw request (RAW), this is another")
		}
		line, err := unescape(rest)
		r.Raw = append(append(r.Raw, line...), "\r\n"...)
		return err
	}
	key, value, _ := strings.Cut(rest, " ")
	switch key {
	case "http/2":
		r.Proto = "HTTP/2"
	case "sni":
		r.SNI = &value
	case "chunked":
		r.Chunked = true
	case "trailer":
		f, err := field(value)
		r.Trailer = append(r.Trailer, f)
		return err
	case "body":
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 || n > 1<<28 {
			return fmt.Errorf("with body: want a size in bytes up to %d, got %q", 1<<28, value)
		}
		r.Body = []byte(strings.Repeat("b", n))
	default:
		return fmt.Errorf("with: want http/2, sni, chunked, trailer or body, got %q", key)
	}
	return nil
}

func field(text string) (Field, error) {
	name, value, ok := strings.Cut(text, ":")
	if !ok || name == "" {
		return Field{}, fmt.Errorf("want `Name: value`, got %q", text)
	}
	return Field{name, strings.TrimSpace(value)}, nil
}

// unescape resolves \n, \r, \t, \\ and \xNN.
func unescape(s string) (string, error) {
	out, err := strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`)
	if err != nil {
		return "", fmt.Errorf("raw line %q: want only the escapes \\n, \\r, \\t, \\\\ and \\xNN", s)
	}
	return out, nil
}

// subjects are what expectations can look at; true means that a field name follows.
var subjects = map[string]bool{
	"code": false, "proto": false, "error": false, "body": false, "body.size": false, "connection": false,
	"header": true, "trailer": true, "interim": false, "interim.header": true, "received": false,
	"backend": false, "backends": false,
	"seen.port": false, "seen.method": false, "seen.target": false, "seen.host": false, "seen.proto": false, "seen.tls": false,
	"seen.body": false, "seen.body.size": false, "seen.framing": false, "seen.header": true, "seen.trailer": true,
	"tls.cn": false, "tls.names": false, "tls.verified": false, "tls.version": false, "tls.alpn": false, "tls.key": false,
}

func (p *parser) expectation(text string) error {
	e := Expectation{Line: p.line, Text: text}
	subject, rest, _ := strings.Cut(text, " ")
	named, known := subjects[subject]
	if !known {
		return fmt.Errorf("want a statement or an expectation, got %q", text)
	}
	e.Subject = subject
	if named {
		e.Name, rest, _ = strings.Cut(rest, " ")
	}
	e.Op, e.Value, _ = strings.Cut(rest, " ")
	switch e.Op {
	case "==", "!=", "contains", "!contains":
	case "~", "!~":
		re, err := regexp.Compile(e.Value)
		if err != nil {
			return err
		}
		e.pattern = re
	case "absent", "present":
		if e.Value != "" {
			return fmt.Errorf("%s: want nothing after it, got %q", e.Op, e.Value)
		}
	default:
		return fmt.Errorf("want an operator (==, !=, contains, !contains, ~, !~, absent, present), got %q in %q", e.Op, text)
	}
	if strings.Contains(e.Op, "contains") && e.Value == "" {
		return fmt.Errorf("%s: want a text, got none", e.Op)
	}
	p.request.Expect = append(p.request.Expect, e)
	return nil
}

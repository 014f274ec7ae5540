package router

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"regexp/syntax"
	"strings"
)

// maxProgram bounds a compiled pattern: its instructions, and so what a match costs.
const maxProgram = 1000

// MindCase in front of a pattern gives case a meaning in it, which it otherwise has not.
const MindCase = "(?-i)"

// Pattern is the path of a Route of type Regexp: a regular expression that ignores case, is
// anchored at the start of the decoded path and open at its end. Look-aheads after a literal
// beginning are understood, though package regexp has none: what must follow there, or must
// not, is matched apart.
type Pattern struct {
	expr        *regexp.Regexp
	with, never []*regexp.Regexp // match as well; must not match
}

// ParsePattern compiles a pattern. An error names what cannot be compiled.
func ParsePattern(path string) (*Pattern, error) {
	p := &Pattern{}
	rest, minded := strings.CutPrefix(path, MindCase)
	flags := "(?i)"
	if minded {
		flags = ""
	}
	for {
		i := strings.Index(rest, "(?")
		for i >= 0 && !strings.HasPrefix(rest[i:], "(?!") && !strings.HasPrefix(rest[i:], "(?=") {
			next := strings.Index(rest[i+2:], "(?")
			if next < 0 {
				i = -1
				break
			}
			i += 2 + next
		}
		if i < 0 {
			break
		}
		before, end := rest[:i], closing(rest[i:])
		literal := strings.ReplaceAll(before, "(", "")
		if end < 0 || regexp.QuoteMeta(literal) != literal && strings.Trim(literal, `/\.-_`) == "" || strings.ContainsAny(literal, `\.+*?|[]{}^$)`) {
			return nil, fmt.Errorf("path %.80q: a look-ahead is supported after literal text alone", path)
		}
		if avoidable(rest[i+end+1:]) {
			return nil, fmt.Errorf("path %.80q: a look-ahead is supported where every match has to pass it", path)
		}
		expr, err := compile(flags, literal+"(?:"+rest[i+3:i+end]+")")
		if err != nil {
			return nil, err
		}
		if rest[i+2] == '!' {
			p.never = append(p.never, expr)
		} else {
			p.with = append(p.with, expr)
		}
		rest = before + rest[i+end+1:]
	}
	var err error
	p.expr, err = compile(flags, rest)
	return p, err
}

// avoidable reports whether an expression can match without the look-ahead that after follows: there
// is an alternative to it, or it or a group around it may be left out.
func avoidable(after string) bool {
	if after != "" && strings.IndexByte("?*+{", after[0]) >= 0 {
		return true
	}
	depth, class := 0, false // 0 is around the look-ahead
	for i := 0; i < len(after); i++ {
		switch c := after[i]; {
		case c == '\\':
			i++
		case class:
			class = c != ']'
		case c == '[':
			class = true
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case c == ')' && i+1 < len(after) && strings.IndexByte("?*{", after[i+1]) >= 0, c == '|' && depth == 0:
			return true
		}
	}
	return false
}

// closing returns where the group that s begins with ends; -1 if nowhere.
func closing(s string) int {
	depth, class := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++
		case class:
			class = c != ']'
		case c == '[':
			class = true
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

func compile(flags, path string) (*regexp.Regexp, error) {
	parsed, err := syntax.Parse(flags+"^"+path, syntax.Perl)
	if err == nil {
		var program *syntax.Prog
		if program, err = syntax.Compile(parsed.Simplify()); err == nil && len(program.Inst) > maxProgram {
			err = errors.New("it is too large")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("path %.80q is no regular expression that can be used: %w", path, err)
	}
	return regexp.Compile(flags + "^" + path)
}

// Match reports whether the decoded path matches.
func (p *Pattern) Match(path string) bool {
	for _, e := range p.never {
		if e.MatchString(path) {
			return false
		}
	}
	for _, e := range p.with {
		if !e.MatchString(path) {
			return false
		}
	}
	return p.expr.MatchString(path)
}

// Groups returns the submatches of a decoded path, the first is the whole match; nil when it
// does not match.
func (p *Pattern) Groups(path string) []string { return p.expr.FindStringSubmatch(path) }

// Names are those of Groups, empty for groups without.
func (p *Pattern) Names() []string { return p.expr.SubexpNames() }

// patternRoute is a Route of a host by its compiled pattern.
type patternRoute struct {
	pattern *Pattern
	route   *Route
}

// comparePatterns puts longer patterns before shorter ones, and of equal length the greater
// before: the order in which ingress-nginx writes them, and nginx tries them.
func comparePatterns(a, b patternRoute) int {
	return cmp.Or(cmp.Compare(len(b.route.Path), len(a.route.Path)), strings.Compare(b.route.Path, a.route.Path))
}

// addPattern files a Route of type Regexp behind the others: they are to be sorted. One that does not
// compile matches nothing.
func (h *host) addPattern(r *Route) {
	if p, err := ParsePattern(r.Path); err == nil {
		h.patterns = append(h.patterns, patternRoute{p, r})
	}
}

// matchPattern returns the first Route whose pattern matches a canonical path, or nil.
func (h *host) matchPattern(path string) *Route {
	if strings.IndexByte(path, '%') >= 0 {
		if plain, err := url.PathUnescape(path); err == nil {
			path = plain
		}
	}
	for i := range h.patterns {
		if h.patterns[i].pattern.Match(path) {
			return h.patterns[i].route
		}
	}
	return nil
}

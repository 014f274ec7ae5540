package policy

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Rewrite replaces the path that the backend gets. A target with a scheme is a redirect.
type Rewrite struct {
	Target Template
	// Prefix is sent as X-Forwarded-Prefix; empty for none.
	Prefix string
}

var (
	rewriteTarget = Key{
		Name: "rewrite-target", Class: Routing, Value: "path with $1 to $9 and variables, or a URL",
		Doc: "path for the backend; in the ingress-nginx profile it makes the paths of the host regular expressions. A URL answers 302",
	}
	useRegex = Key{
		Name: "use-regex", Class: Routing, Value: "true or false", Default: "false",
		Doc: "paths of the host are regular expressions: any case, anchored at the start and open at the end",
	}
	forwardedPrefix = Key{Name: "x-forwarded-prefix", Value: "text", Doc: "X-Forwarded-Prefix for the backend, together with rewrite-target"}
)

var rewriting = feature{
	name: "rewrite",
	keys: []Key{rewriteTarget, useRegex, forwardedPrefix},
	read: func(r *reader, s *Set) {
		if v, ok := r.text(useRegex); ok {
			if _, err := strconv.ParseBool(v); err != nil {
				if r.byQuirk(QuirkBadUseRegex) {
					r.judge(useRegex, Invalid, fmt.Errorf("want true or false, got %.80q", v))
				} else {
					r.bad(useRegex, "want true or false, got %.80q", v)
				}
			}
		}
		v, ok := r.text(rewriteTarget)
		if !ok {
			if r.has(forwardedPrefix) {
				r.judge(forwardedPrefix, NoEffect, fmt.Errorf("no rewrite-target is beside it"))
			}
			return
		}
		t, err := parseTemplate(v, func(name string) bool { return name != "" })
		switch {
		case err != nil:
			r.bad(rewriteTarget, "%w", err)
		case strings.HasPrefix(v, "http://"), strings.HasPrefix(v, "https://"):
		case !strings.HasPrefix(v, "/"):
			r.bad(rewriteTarget, "want a path or a URL, got %.80q", v)
		}
		if strings.ContainsAny(v, " ?#;\"\\<>|^`") {
			r.bad(rewriteTarget, "want no spaces, quotes, \";\", \"?\" and \"#\", got %.80q", v)
		}
		s.Rewrite = &Rewrite{Target: t}
		if p, ok := r.text(forwardedPrefix); ok {
			if strings.ContainsAny(p, " ;\"{}") {
				r.bad(forwardedPrefix, "want a path, got %.80q", p)
			} else {
				s.Rewrite.Prefix = p
			}
		}
	},
	wrap: func(l link, next http.Handler) http.Handler {
		if l.Rewrite == nil {
			return next
		}
		if text, ok := l.Rewrite.Target.fixed(); ok && text == l.rule.Path {
			return next // as in ingress-nginx: such a target changes nothing
		}
		return &rewriter{l.Rewrite, l.rule, next}
	},
}

// MayWantRegex is a quick look at whether WantsRegex can be true.
func MayWantRegex(annotations map[string]string) bool {
	for _, name := range [...]string{Prefix + "use-regex", NginxPrefix + "use-regex", Prefix + "rewrite-target", NginxPrefix + "rewrite-target"} {
		if annotations[name] != "" {
			return true
		}
	}
	return false
}

// WantsRegex reports whether the annotations make the paths of a host regular expressions, for an
// Ingress with these quirks and paths there: because use-regex says so, or for its rewrite-target.
func WantsRegex(annotations map[string]string, quirks QuirkSet, paths []string) (said, rewrites bool) {
	get := func(name string) string {
		if v, ok := annotations[Prefix+name]; ok {
			return strings.TrimSpace(v)
		}
		return strings.TrimSpace(annotations[NginxPrefix+name])
	}
	if on, err := strconv.ParseBool(get(useRegex.Name)); err == nil && on {
		return true, false
	}
	target := get(rewriteTarget.Name)
	if target == "" || !quirks.Has(QuirkRewriteRegex) || strings.ContainsAny(target, " ?#;\"\\<>|^`") {
		return false, false
	}
	if target != "/" {
		return false, true // the location that the original has for "/" differs from it
	}
	for _, p := range paths {
		if p != target {
			return false, true
		}
	}
	return false, false
}

type rewriter struct {
	*Rewrite
	rule Rule
	next http.Handler
}

func (h *rewriter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchangeOf(w)
	var groups []string
	if h.rule.Match != nil {
		groups = h.rule.Match(decoded(x.CanonicalPath()))
	}
	path := h.Target.expand(w, r, &h.rule, nil, func(name string) string { return h.group(groups, name) })
	if strings.HasPrefix(path, "http://") || strings.HasPrefix(path, "https://") {
		location := path
		if r.URL.RawQuery != "" {
			location += "?" + r.URL.RawQuery
		}
		redirect(w, r, http.StatusFound, escapeLocation(location), "redirect")
		return
	}
	// The rule was chosen by the path before. A path that leads out of where the target is
	// would reach what no rule speaks of.
	if hasDotSegment(path) {
		x.Answer(w, r, http.StatusBadRequest, "bad-rewrite", fmt.Errorf("rewrite-target makes path %.80q of %.80q: want no dot segments", path, x.CanonicalPath()))
		return
	}
	u := *r.URL
	// Two slashes in front would make a host of what follows, for whoever reads it as a URL.
	u.Opaque = "/" + escapePath(strings.TrimLeft(path, "/"))
	r.URL = &u
	if h.Prefix != "" {
		x.SendPrefix(h.Prefix)
	}
	h.next.ServeHTTP(w, r)
}

// group is the text of a numbered group, the empty text for one that the path has not.
func (h *rewriter) group(groups []string, name string) string {
	if n, err := strconv.Atoi(name); err == nil {
		if n > 0 && n < len(groups) {
			return groups[n]
		}
		return ""
	}
	if h.rule.GroupNames != nil {
		for i, have := range h.rule.GroupNames {
			if have == name && i < len(groups) {
				return groups[i]
			}
		}
	}
	return ""
}

func hasDotSegment(path string) bool {
	for element := range strings.SplitSeq(path, "/") {
		element, _, _ = strings.Cut(element, ";")
		if element == "." || element == ".." {
			return true
		}
		for part := range strings.SplitSeq(element, "\\") {
			if part == ".." {
				return true
			}
		}
	}
	return false
}

// escapeLocation escapes what would end the field or the URL.
func escapeLocation(s string) string {
	return escapeBytes(s, func(c byte) bool { return c > ' ' && c < 0x7f })
}

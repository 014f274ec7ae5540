package dashboard

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// query is what the page was asked to show.
type query struct {
	search string // as it was typed
	needle string // lower case
	limit  int    // rows of each table
	sort   string
	// asked is what is to be explained; its url is empty when nothing is.
	asked url.Values
}

// The rows of a table: by default, and at most.
const (
	fewRows  = 50
	manyRows = 1000
)

// sorts are the orders of routes. The first is the default.
var sorts = []string{"errors", "rate", "name"}

// readQuery reads a form. What makes no sense is taken for the default.
func readQuery(form url.Values) query {
	q := query{search: strings.TrimSpace(form.Get("q")), limit: fewRows, sort: form.Get("sort"), asked: url.Values{}}
	q.needle = strings.ToLower(q.search)
	if n, err := strconv.Atoi(form.Get("limit")); err == nil && n > 0 {
		q.limit = min(n, manyRows)
	}
	if !slices.Contains(sorts, q.sort) {
		q.sort = sorts[0]
	}
	for _, key := range []string{"url", "method", "client-ip"} {
		if v := strings.TrimSpace(form.Get(key)); v != "" {
			q.asked.Set(key, v)
		}
	}
	for line := range strings.Lines(form.Get("header")) {
		if line = strings.TrimSpace(line); line != "" {
			q.asked.Add("header", line)
		}
	}
	return q
}

// with returns the address of the page with one thing changed. It is relative: the admin port may
// be behind a path of kubectl proxy.
func (q query) with(key, value string) string {
	v := url.Values{}
	if q.search != "" {
		v.Set("q", q.search)
	}
	if q.sort != sorts[0] {
		v.Set("sort", q.sort)
	}
	if q.limit != fewRows {
		v.Set("limit", strconv.Itoa(q.limit))
	}
	if value == "" {
		v.Del(key)
	} else {
		v.Set(key, value)
	}
	return "./?" + v.Encode()
}

// matches reports whether one of texts has what is searched for.
func (q query) matches(texts ...string) bool {
	if q.needle == "" {
		return true
	}
	return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(strings.ToLower(text), q.needle) })
}

// list is the rows of a table that are shown, with how many there are.
type list[T any] struct {
	Rows  []T
	Found int    // that match the search
	All   int    // without a search
	More  string // address that shows more; empty when all are shown
}

func cut[T any](q query, rows []T, all int) list[T] {
	l := list[T]{Rows: rows, Found: len(rows), All: all}
	if len(rows) > q.limit {
		l.Rows = rows[:q.limit]
		if q.limit < manyRows {
			l.More = q.with("limit", strconv.Itoa(min(q.limit*10, manyRows)))
		}
	}
	return l
}

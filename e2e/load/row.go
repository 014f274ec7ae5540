package main

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

// Row is one load: what is asked of every proxy alike. Its zero value is no row; ParseRow
// makes one.
type Row struct {
	Name        string `json:"name"`
	Open        bool   `json:"open"` // open loop at fixed rates, for latency; else closed loop, for CPU
	Size        int    `json:"size"` // of a response's body, in bytes
	Connections int    `json:"connections"`
	TLS         bool   `json:"tls"`
	New         bool   `json:"new"`    // a new connection for each request
	Routes      int    `json:"routes"` // 1, or as many as the proxies know, all of them asked for in turn
	Log         bool   `json:"log"`    // access logs on
}

// sizes are the bodies that the backend has, by their names in a row. Each has a port of its
// own at the backend, so that a body does not depend on the path of a request.
var sizes = []struct {
	name  string
	bytes int
}{{"64", 64}, {"1k", 1 << 10}, {"16k", 16 << 10}, {"1m", 1 << 20}}

// pathsPerHost is how many routes a host has when there are many.
const pathsPerHost = 10

// standardRows is a complete run, in the order in which it is made.
var standardRows = []string{
	"64-64", "1k-64", "16k-64", "1m-64",
	"64-64-tls", "1k-64-tls", "16k-64-tls", "1m-64-tls",
	"1k-64-new", "1k-64-tls-new",
	"1k-1", "1k-512",
	"1k-64-routes10k",
	"1k-64-log",
	"open-1k-64", "open-1k-64-tls",
}

// ParseRow reads [open-]SIZE-CONNECTIONS[-tls][-new][-routesN][-log], such as
// 1k-64-tls-routes10k.
func ParseRow(name string) (Row, error) {
	r := Row{Name: name, Routes: 1}
	words := strings.Split(name, "-")
	if words[0] == "open" {
		r.Open, words = true, words[1:]
	}
	if len(words) < 2 {
		return Row{}, fmt.Errorf("row %q: want SIZE-CONNECTIONS, such as 1k-64", name)
	}
	for _, s := range sizes {
		if s.name == words[0] {
			r.Size = s.bytes
		}
	}
	if r.Size == 0 {
		return Row{}, fmt.Errorf("row %q: want a size of 64, 1k, 16k or 1m, got %q", name, words[0])
	}
	var err error
	if r.Connections, err = strconv.Atoi(words[1]); err != nil || r.Connections < 1 || r.Connections > maxConnections {
		return Row{}, fmt.Errorf("row %q: want 1 to %d connections, got %q", name, maxConnections, words[1])
	}
	for _, word := range words[2:] {
		many, isRoutes := strings.CutPrefix(word, "routes")
		switch {
		case word == "tls":
			r.TLS = true
		case word == "new":
			r.New = true
		case word == "log":
			r.Log = true
		case isRoutes:
			if r.Routes, err = parseCount(many); err != nil {
				return Row{}, fmt.Errorf("row %q: %w", name, err)
			}
		default:
			return Row{}, fmt.Errorf("row %q: want tls, new, log or routesN, got %q", name, word)
		}
	}
	if r.Open && (r.New || r.Routes > 1) {
		return Row{}, fmt.Errorf("row %q: an open loop keeps its connections and asks for one route", name)
	}
	return r, nil
}

// maxConnections stays under what the proxies and the backend are configured for.
const maxConnections = 4000

// parseCount reads a number of routes: whole hosts, or one route.
func parseCount(s string) (int, error) {
	digits, thousands := strings.CutSuffix(s, "k")
	n, err := strconv.Atoi(digits)
	if thousands {
		n *= 1000
	}
	if err != nil || n < 1 || n > 100_000 || n > 1 && n%pathsPerHost != 0 {
		return 0, fmt.Errorf("want 1 route or a multiple of %d up to 100k, got %q", pathsPerHost, s)
	}
	return n, nil
}

// SelectRows returns the rows of a list: names, and patterns over the standard rows, with
// commas between them. Nothing is there twice.
func SelectRows(list string) ([]Row, error) {
	var rows []Row
	seen := map[string]bool{}
	add := func(name string) error {
		r, err := ParseRow(name)
		if err != nil || seen[name] {
			return err
		}
		seen[name] = true
		rows = append(rows, r)
		return nil
	}
	for pattern := range strings.SplitSeq(list, ",") {
		pattern = strings.TrimSpace(pattern)
		if !strings.ContainsAny(pattern, "*?[") {
			if err := add(pattern); err != nil {
				return nil, err
			}
			continue
		}
		before := len(rows)
		for _, name := range standardRows {
			ok, err := path.Match(pattern, name)
			if err != nil {
				return nil, fmt.Errorf("rows %q: %w", pattern, err)
			}
			if ok {
				if err := add(name); err != nil {
					return nil, err
				}
			}
		}
		if len(rows) == before {
			return nil, fmt.Errorf("rows %q: no further standard row is so: want some of %s", pattern, strings.Join(standardRows, " "))
		}
	}
	return rows, nil
}

// String says what the row is, in words.
func (r Row) String() string {
	words := []string{fmt.Sprintf("%d B", r.Size), plural(r.Connections, "connection")}
	if r.Size >= 1<<10 {
		words[0] = fmt.Sprintf("%d KiB", r.Size>>10)
	}
	if r.TLS {
		words = append(words, "TLS")
	}
	if r.New {
		words = append(words, "a new connection for each request")
	} else {
		words = append(words, "keep-alive")
	}
	words = append(words, plural(r.Routes, "route"))
	if r.Log {
		words = append(words, "access log on")
	}
	if r.Open {
		words = append(words, "open loop")
	}
	return strings.Join(words, ", ")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// many says whether the row asks for more routes than one: then requests differ.
func (r Row) many() bool { return r.Routes > 1 }

// scheme is that of the row's URLs.
func (r Row) scheme() string {
	if r.TLS {
		return "https"
	}
	return "http"
}

// routeHost and routePath name route i of many. A request for routePath+"/item" is for it.
func routeHost(i int) string { return fmt.Sprintf("h%d.localhost", i/pathsPerHost) }
func routePath(i int) string { return fmt.Sprintf("/p%d", i%pathsPerHost) }

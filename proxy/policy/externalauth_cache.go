package policy

import (
	"container/list"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// AuthCache says which answers of an auth service hold for further requests, and how long.
type AuthCache struct {
	Key   Template // has a variable
	Valid []AuthValid
}

// AuthValid is how long answers with one status hold. Status 0 is any.
type AuthValid struct {
	Status int
	For    time.Duration
}

// maxValid bounds how long an answer holds, whatever was asked for.
const maxValid = 365 * 24 * time.Hour

// authCache reads what is kept; nil when nothing is.
func (r *reader) authCache(k *authKeys) *AuthCache {
	times, listed := r.text(k.cacheTime)
	text, ok := r.text(k.cacheKey)
	if !ok {
		if listed && r.has(k.cacheTime) {
			r.judge(k.cacheTime, NoEffect, errNoKey)
		}
		return nil
	}
	var c AuthCache
	var err error
	if c.Key, err = parseTemplate(text, nil); err != nil {
		r.bad(k.cacheKey, "%w", err)
	} else if _, fixed := c.Key.fixed(); fixed {
		r.bad(k.cacheKey, "%w", errOneKey)
	}
	if !listed {
		times = k.cacheTime.Default
	}
	for entry := range strings.SplitSeq(times, ",") {
		valid, err := parseValid(entry)
		if err != nil {
			r.bad(k.cacheTime, "%w", err)
		}
		c.Valid = append(c.Valid, valid...)
	}
	return &c
}

// parseValid reads statuses with a time, as in "200 202 5m". A time alone is for 200.
func parseValid(entry string) ([]AuthValid, error) {
	words := strings.Fields(entry)
	if len(words) == 0 {
		return nil, fmt.Errorf("want statuses and a time such as 200 202 5m, got an empty entry")
	}
	last := words[len(words)-1]
	d, ok := parseSpan(last)
	if !ok || len(words) > 1 && len(last) == 3 && strings.Trim(last, "0123456789") == "" {
		return nil, fmt.Errorf("want a time such as 30s, 5m or 1h at the end of %.40q", entry)
	}
	d = min(d, maxValid)
	if len(words) == 1 {
		return []AuthValid{{http.StatusOK, d}}, nil
	}
	var list []AuthValid
	for _, w := range words[:len(words)-1] {
		status, err := strconv.Atoi(w)
		switch {
		case w == "any":
			status = 0
		case err != nil || len(w) != 3 || status < 100:
			return nil, fmt.Errorf("want statuses such as 200 before the time, got %.20q", w)
		}
		list = append(list, AuthValid{status, d})
	}
	return list, nil
}

// parseSpan reads nginx's times: 90, 90s, 1h30m, with ms, s, m, h, d, w, M and y.
func parseSpan(s string) (time.Duration, bool) {
	units := map[string]time.Duration{
		"ms": time.Millisecond, "": time.Second, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour,
		"w": 7 * 24 * time.Hour, "M": 30 * 24 * time.Hour, "y": 365 * 24 * time.Hour,
	}
	var sum time.Duration
	for first := true; first || s != ""; first = false {
		digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
		n, err := strconv.ParseUint(s[:digits], 10, 31)
		s = s[digits:]
		letters := len(s) - len(strings.TrimLeft(s, "mshdwMy"))
		unit, ok := units[s[:letters]]
		s = s[letters:]
		if err != nil || !ok {
			return 0, false
		}
		if time.Duration(n) > 100*maxValid/unit {
			n = uint64(100 * maxValid / unit)
		}
		if sum += time.Duration(n) * unit; sum > 100*maxValid {
			sum = 100 * maxValid
		}
	}
	return sum, true
}

// holds is how long an answer to r holds, 0 for not at all, and the fields of r that it depends on.
func (c *AuthCache) holds(resp *http.Response, now time.Time) (time.Duration, []string) {
	var d time.Duration
	for _, v := range c.Valid {
		if v.Status == resp.StatusCode {
			d = v.For
			break
		} else if v.Status == 0 && d == 0 {
			d = v.For
		}
	}
	status := resp.StatusCode
	if status >= 300 && status != http.StatusUnauthorized && status != http.StatusForbidden || len(resp.Header["Set-Cookie"]) > 0 {
		return 0, nil // an error of the service; a cookie is of one client
	}
	aged := false
	for directive := range strings.SplitSeq(strings.ToLower(strings.Join(resp.Header["Cache-Control"], ",")), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch name {
		case "no-store", "no-cache", "private":
			return 0, nil
		case "max-age", "s-maxage":
			seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
			if err != nil {
				return 0, nil
			}
			aged, d = true, min(d, time.Duration(seconds)*time.Second)
		}
	}
	if expires := resp.Header["Expires"]; len(expires) > 0 && !aged {
		at, err := http.ParseTime(expires[0])
		if err != nil {
			return 0, nil
		}
		d = min(d, at.Sub(now))
	}
	var vary []string
	for name := range strings.SplitSeq(strings.Join(resp.Header["Vary"], ","), ",") {
		if name = strings.TrimSpace(name); name == "*" {
			return 0, nil
		} else if name != "" {
			vary = append(vary, http.CanonicalHeaderKey(name))
		}
	}
	return d, vary
}

// ruling is the service's answer, or one of it that still holds.
func (h *authHandler) ruling(w http.ResponseWriter, r *http.Request) (*http.Response, error) {
	if h.auth.Cache == nil {
		return h.ask(w, r)
	}
	key, ok := h.rulingKey(w, r)
	if !ok {
		return h.ask(w, r)
	}
	kept := &h.env.rulings
	if v := kept.get(key, r.Header, time.Now()); v != nil {
		return &http.Response{StatusCode: v.status, Status: strconv.Itoa(v.status), Header: v.header}, nil
	}
	resp, err := h.ask(w, r)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if d, vary := h.auth.Cache.holds(resp, now); d > 0 && !slices.ContainsFunc(vary, h.replaces) {
		v := &ruling{key: key, status: resp.StatusCode, header: make(http.Header), until: now.Add(d)}
		for _, name := range append([]string{"Www-Authenticate"}, h.auth.Response...) {
			if values := resp.Header[name]; len(values) > 0 {
				v.header[name] = slices.Clip(slices.Clone(values))
			}
		}
		for _, name := range vary {
			v.vary = append(v.vary, [2]string{name, strings.Clone(strings.Join(r.Header[name], ", "))}) // of the whole head nothing is kept
		}
		kept.put(v)
	}
	return resp, nil
}

// replaces reports whether the service gets another field of that name than the client has sent: an
// answer that depends on it cannot be told from others by the client's.
func (h *authHandler) replaces(name string) bool {
	return endsHere(name) || name == "X-Request-Id" || strings.HasPrefix(name, "X-Fairlead-") ||
		slices.ContainsFunc(h.auth.Send, func(f Field) bool { return SameField(f.Name, name) })
}

// newKeyspace is what an answer must not be shared beyond: the rule, and all that is asked.
func (h *authHandler) newKeyspace() string {
	auth := *h.auth
	auth.Cache = nil
	return fmt.Sprintf("%q %q %q %q %+v %+v", h.rule.Namespace, h.rule.Ingress, h.rule.Host, h.rule.Path, auth, h.auth.Cache.Key)
}

// rulingKey identifies a question. False: nothing of the request tells it from those of others.
// The host, and what a client proves itself with in Authorization or by its certificate, are always
// part of the question, whether or not the key has them.
func (h *authHandler) rulingKey(w http.ResponseWriter, r *http.Request) ([sha256.Size]byte, bool) {
	own := false
	for _, p := range h.auth.Cache.Key.Parts {
		own = own || p.Variable != "" && variable(p.Variable, w, r, &h.rule) != ""
	}
	if !own {
		return [sha256.Size]byte{}, false
	}
	cert := make(http.Header)
	proven(cert, exchangeOf(w))
	hash := sha256.New()
	for _, part := range [...]string{
		h.keyspace, h.url.expand(w, r, &h.rule, escapeAll, nil), h.auth.Cache.Key.expand(w, r, &h.rule, nil, nil),
		strings.Join(r.Header["Authorization"], "\n"), exchangeOf(w).CanonicalHost(), fmt.Sprintf("%q", cert),
	} {
		_, _ = io.WriteString(hash, strconv.Itoa(len(part))+":"+part) // a hash takes everything
	}
	return [sha256.Size]byte(hash.Sum(nil)), true
}

// rulings are answers of auth services that still hold, those asked for last first. The zero
// value is ready for use.
type rulings struct {
	mu     sync.Mutex
	byKey  map[[sha256.Size]byte]*list.Element
	recent list.List
	size   int
}

// ruling is what of an answer counts. It does not change.
type ruling struct {
	key    [sha256.Size]byte
	status int
	header http.Header
	vary   [][2]string // fields of the request and their values, for which it holds
	until  time.Time
}

// maxRulings bounds the memory of all rulings, in bytes; those are some 100,000 small ones.
const maxRulings = 32 << 20

// cost is about what a ruling takes.
func (v *ruling) cost() int {
	n := 320
	for name, values := range v.header {
		for _, value := range values {
			n += 64 + len(name) + len(value)
		}
	}
	for _, field := range v.vary {
		n += 32 + len(field[0]) + len(field[1])
	}
	return n
}

// get returns what still holds for a request with the given header, nil for nothing.
func (c *rulings) get(key [sha256.Size]byte, header http.Header, now time.Time) *ruling {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byKey[key]
	if e == nil {
		return nil
	}
	v := e.Value.(*ruling)
	if !now.Before(v.until) {
		c.remove(e)
		return nil
	}
	for _, field := range v.vary {
		if strings.Join(header[field[0]], ", ") != field[1] {
			return nil
		}
	}
	c.recent.MoveToFront(e)
	return v
}

// put keeps v in place of what was kept for the same, and forgets what was not asked for longest
// where there is no room.
func (c *rulings) put(v *ruling) {
	cost := v.cost()
	if cost > maxRulings/64 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byKey == nil {
		c.byKey = make(map[[sha256.Size]byte]*list.Element)
	}
	if e := c.byKey[v.key]; e != nil {
		c.remove(e)
	}
	c.byKey[v.key] = c.recent.PushFront(v)
	for c.size += cost; c.size > maxRulings; {
		c.remove(c.recent.Back())
	}
}

func (c *rulings) remove(e *list.Element) {
	v := c.recent.Remove(e).(*ruling)
	delete(c.byKey, v.key)
	c.size -= v.cost()
}

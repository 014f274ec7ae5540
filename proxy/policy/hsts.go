package policy

import (
	"net/http"
	"strconv"
)

var (
	hstsOn   = Key{Name: "hsts", GlobalOnly: true, Value: "true or false", Default: "true", SpecDefault: "false", Doc: "sends Strict-Transport-Security with answers over HTTPS, in place of the backend's"}
	hstsAge  = Key{Name: "hsts-max-age", GlobalOnly: true, Value: "seconds", Default: "31536000", Doc: "max-age of Strict-Transport-Security"}
	hstsSubs = Key{Name: "hsts-include-subdomains", GlobalOnly: true, Value: "true or false", Default: "true", Doc: "includeSubDomains of Strict-Transport-Security"}
	hstsPre  = Key{Name: "hsts-preload", GlobalOnly: true, Value: "true or false", Default: "false", Doc: "preload of Strict-Transport-Security"}
)

var hsts = feature{
	name: "HSTS",
	keys: []Key{hstsOn, hstsAge, hstsSubs, hstsPre},
	read: func(r *reader, s *Set) {
		on, said := r.given(hstsOn)
		value := "max-age=" + strconv.Itoa(r.integer(hstsAge, 0, 1<<31-1, 31536000))
		if r.boolean(hstsSubs, true) {
			value += "; includeSubDomains"
		}
		if r.boolean(hstsPre, false) {
			value += "; preload"
		}
		if on || !said && r.byQuirk(QuirkHSTS) {
			s.HSTS = value
		}
	},
	wrap: func(l link, next http.Handler) http.Handler {
		if l.HSTS == "" {
			return next
		}
		value := []string{l.HSTS}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if exchangeOf(w).Connection() == "https" {
				if l.Quirks.Has(QuirkHSTS) {
					l.depends(QuirkHSTS, w, r)
				}
				w = changeHead(w, setField{"Strict-Transport-Security", value})
			}
			next.ServeHTTP(w, r)
		})
	},
}

// setField sets a field of the response, in place of the backend's.
type setField struct {
	name  string
	value []string // is not changed
}

func (f setField) apply(_ int, h http.Header) { h[f.name] = f.value }

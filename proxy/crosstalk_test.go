package proxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// What a request is forwarded with is used again for others. Requests that are answered early, told
// of in between, given up and sent with bodies, all at once, reach neither each other's
// backend nor each other's client. The race detector sees what is read too late.
func TestRequestsDoNotMix(t *testing.T) {
	for name, protocol := range map[string]upstream.Protocol{"HTTP/1.1": upstream.HTTP, "HTTP/2": upstream.H2C} {
		t.Run(name, func(t *testing.T) {
			b := &proxytest.Backend{Handler: http.HandlerFunc(mixed)}
			f := singleBackend(t, b, nil)
			f.pools.Pool(webKey).Set(upstream.Resolution{Protocol: protocol, Addresses: []upstream.Address{addressOf(b)}})
			var clients sync.WaitGroup
			each := 60
			if proxytest.Soaking() {
				each = 2000 // they are long: a million would take an hour
			}
			for i := range 12 {
				clients.Go(func() {
					c := client(t, func(tr *http.Transport) { tr.ForceAttemptHTTP2 = i%2 == 0 })
					random := rand.New(rand.NewPCG(uint64(i), 0))
					for n := range each {
						mixedRequest(t, c, f, random, fmt.Sprintf("%d-%d", i, n), i%2 == 0)
					}
				})
			}
			clients.Wait()
		})
	}
}

// mixed tells what it got of a request: its token is in the path, two fields and each line of the body.
func mixed(w http.ResponseWriter, r *http.Request) {
	token := r.URL.Query().Get("token")
	wrong := r.Header.Get("X-Token") != token || !strings.HasPrefix(r.URL.Path, "/"+token) ||
		len(r.Header["X-Forwarded-For"]) != 1 || r.Header.Get("X-Forwarded-For") != "127.0.0.1" || r.Header.Get("X-Forwarded-Host") != "a.example" || len(r.Header.Get("X-Request-Id")) < 16
	if r.URL.Query().Has("interim") {
		w.Header()["Link"], w.Header()["Content-Length"] = []string{token}, nil // see interim.relay
		w.WriteHeader(http.StatusEarlyHints)
		clear(w.Header())
	}
	if r.URL.Query().Has("late") {
		select { // clients give up meanwhile, or not
		case <-r.Context().Done():
		case <-time.After(2 * time.Millisecond):
		}
	}
	if !r.URL.Query().Has("early") {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		wrong = wrong || len(bytes.ReplaceAll(body, []byte(token+"\n"), nil)) > 0
	}
	if wrong {
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s: %q", r.URL, r.Header)
		return
	}
	w.Header().Set("X-Token", token)
	_, _ = io.WriteString(w, strings.Repeat(token+"\n", 1000))
}

func mixedRequest(t *testing.T, c *http.Client, f *front, random *rand.Rand, token string, secure bool) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	url := "http://" + f.http() + "/" + token + "?token=" + token
	if secure {
		url = "https://" + f.https() + "/" + token + "?token=" + token
	}
	method, body := http.MethodGet, io.Reader(nil)
	if random.IntN(2) == 0 {
		method, body = http.MethodPost, strings.NewReader(strings.Repeat(token+"\n", 1+random.IntN(20000)))
	}
	for _, word := range []string{"interim", "early", "late"} {
		if random.IntN(3) == 0 {
			url += "&" + word
		}
	}
	gaveUp := random.IntN(4) == 0
	if gaveUp {
		time.AfterFunc(time.Duration(random.IntN(2000))*time.Microsecond, cancel)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		t.Error(err)
		return
	}
	req.Host = "a.example"
	req.Header.Set("X-Token", token)
	resp, err := c.Do(req)
	if err != nil {
		return // given up, or answered before its body was sent
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	switch rest := bytes.ReplaceAll(got, []byte(token+"\n"), nil); {
	case resp.StatusCode == http.StatusTeapot:
		t.Errorf("%s: the backend got %s", token, got)
	case resp.StatusCode == http.StatusOK && (resp.Header.Get("X-Token") != token || err == nil && len(rest) > 0):
		t.Errorf("%s: the client got %q and %.200q", token, resp.Header, rest)
	}
}

package http1

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// Nothing of one request shows in another, on the same connection or on others that use the same
// buffers (the class of Cloudbleed). Buffers are overwritten when they are given back.
func TestNothingLeaks(t *testing.T) {
	_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
		token := r.URL.Query().Get("token")
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		for name, values := range r.Header {
			if strings.HasPrefix(name, "X-Token-") && (len(values) != 1 || values[0] != token || name != "X-Token-"+token) {
				t.Errorf("request %s has field %s: %q", token, name, values)
			}
		}
		if len(w.Header()) > 0 {
			t.Errorf("request %s begins with header %v", token, w.Header())
		}
		if r.Pattern != "" || r.PathValue("name") != "" || r.MultipartForm != nil || r.Form != nil || r.Trailer != nil {
			t.Errorf("request %s has parts of another", token)
		}
		// What handlers leave behind.
		r.Header.Set("X-Token-handler", token)
		r.SetPathValue("name", token)
		r.Pattern = token
		r.URL.Path = "/" + token
		r.URL.Host = token
		_ = r.ParseForm()
		r.Method, r.Host = token, token
		w.Header().Set("X-Token", token)
		fmt.Fprintf(w, "%s %s", token, body)
	})
	const clients, requests = 16, 200
	var wg sync.WaitGroup
	for i := range clients {
		c := dial(t, address)
		wg.Go(func() {
			r := bufio.NewReader(c)
			for j := range requests {
				token := fmt.Sprintf("%d-%d", i, j)
				body := strings.Repeat(token+" ", j*j%1500)
				fmt.Fprintf(c, "POST /?token=%s HTTP/1.1\r\nHost: a\r\nX-Token-%s: %s\r\nContent-Length: %d\r\n\r\n%s", token, token, token, len(body), body)
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				if string(got) != token+" "+body || err != nil || resp.Header.Get("X-Token") != token {
					t.Errorf("request %s: got token %q and %.40q (%d bytes), %v", token, resp.Header.Get("X-Token"), got, len(got), err)
				}
			}
		})
	}
	wg.Wait()
}

// Strings of a request may be kept; they do not change with what is used again.
func TestStringsMayBeKept(t *testing.T) {
	var mu sync.Mutex
	var kept []string
	_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		kept = append(kept, r.Method, r.RequestURI, r.Host, r.URL.Path, r.URL.RawQuery, r.Header.Get("X"), r.RemoteAddr)
	})
	c := dial(t, address)
	r := bufio.NewReader(c)
	for i := range 5 {
		fmt.Fprintf(c, "M%d /p%d?q%d HTTP/1.1\r\nHost: h%d\r\nX: x%d\r\n\r\n", i, i, i, i, i)
		if _, err := http.ReadResponse(r, nil); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for i := range 5 {
		want := fmt.Sprintf("[M%d /p%d?q%d h%d /p%d q%d x%d %s]", i, i, i, i, i, i, i, c.LocalAddr())
		if got := fmt.Sprint(kept[i*7 : i*7+7]); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// What is kept against the contract shows at once, in tests.
func TestPoison(t *testing.T) {
	var kept *http.Request
	var header, written http.Header
	s, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
		kept, header, written = r, r.Header, w.Header()
	})
	exchange(t, address, "GET / HTTP/1.0\r\nX: y\r\n\r\n")
	until(t, func() bool { return s.Connections() == 0 })
	if kept.Method == "GET" || kept.RequestURI == "/" || header.Get("X") != "" || header.Get("Poison") == "" || written.Get("Poison") == "" {
		t.Errorf("got %q %q %v %v of a request that has ended", kept.Method, kept.RequestURI, header, written)
	}
}

package ingress_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// Who guesses passwords holds up nobody else: neither the requests of other hosts nor those of people who
// have signed in. Hashes are slow on purpose, and there are more guesses here than processors.
func TestGuessingPasswordsHoldsUpNobodyElse(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("right"), 10)
	if err != nil {
		t.Fatal(err)
	}
	l := newLive(t, fmt.Sprintf("kind: Secret\nmetadata: {namespace: shop, name: slow}\nstringData: {auth: 'dave:%s'}\n", hash), nil)
	l.add("spec", "a", "a.example", "/", map[string]string{"auth-type": "basic", "auth-secret": "slow"})
	l.add("spec", "b", "b.example", "/", nil)
	l.serve()
	basic := func(password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte("dave:"+password))
	}
	right := "Authorization: " + basic("right")
	if resp := l.ask("GET", "http://a.example/", "", right); resp.StatusCode != http.StatusOK {
		t.Fatalf("the right password: %d", resp.StatusCode)
	}

	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	refused := make(chan int, 1)
	for i := range 300 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				r, err := http.NewRequestWithContext(ctx, "GET", "http://a.example/", nil)
				if err != nil {
					return
				}
				r.Header.Set("Authorization", basic(fmt.Sprint(i, "-", n)))
				resp, err := l.client.Do(r)
				if err != nil {
					return // it is over
				}
				resp.Body.Close()
				select {
				case refused <- resp.StatusCode:
				default:
				}
				if resp.StatusCode == http.StatusServiceUnavailable {
					select { // as it is told to
					case <-ctx.Done():
					case <-time.After(time.Second):
					}
				}
			}
		})
	}
	if status := <-refused; status != http.StatusUnauthorized && status != http.StatusServiceUnavailable {
		t.Errorf("a guess is answered %d", status)
	}
	start := time.Now()
	for range 50 {
		if resp := l.ask("GET", "http://b.example/", ""); resp.StatusCode != http.StatusOK {
			t.Fatalf("another host: %d", resp.StatusCode)
		}
		if resp := l.ask("GET", "http://a.example/", "", right); resp.StatusCode != http.StatusOK {
			t.Fatalf("who has signed in: %d", resp.StatusCode)
		}
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("100 requests of others took %v", took)
	} else {
		t.Logf("100 requests of others took %v", took)
	}
}

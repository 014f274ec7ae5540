package issuer

import (
	"sync"
	"testing"

	"golang.org/x/crypto/acme"
)

func TestAnswers(t *testing.T) {
	var a Answers
	if _, ok := a.HTTP("a.example", "t"); ok || a.TLSALPN("a.example") != nil {
		t.Error("the zero value answers")
	}
	order := map[string][]byte{tokenKey: []byte("t"), answerKey: []byte("t.thumb")}
	a.Set("a.example", order)
	for _, tt := range []struct {
		host, token string
		ok          bool
	}{{"a.example", "t", true}, {"a.example", "", false}, {"a.example", "u", false}, {"b.example", "t", false}} {
		if got, ok := a.HTTP(tt.host, tt.token); ok != tt.ok || ok && got != "t.thumb" {
			t.Errorf("%s %q: %q, %t", tt.host, tt.token, got, ok)
		}
	}
	a.Set("a.example", map[string][]byte{StatusKey: []byte("done")})
	if _, ok := a.HTTP("a.example", "t"); ok {
		t.Error("a token is answered that is no longer active")
	}

	key, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	made, err := (&acme.Client{Key: key}).TLSALPN01ChallengeCert("t", "a.example")
	if err != nil {
		t.Fatal(err)
	}
	chain, private, err := pairPEM(made)
	if err != nil {
		t.Fatal(err)
	}
	order[alpnCertKey], order[alpnPrivKey] = chain, private
	a.Set("a.example", order)
	if c := a.TLSALPN("a.example"); c == nil || string(c.Certificate[0]) != string(made.Certificate[0]) {
		t.Error("another certificate than that of the order")
	}
	if _, ok := a.HTTP("a.example", "t"); ok {
		t.Error("the token of a TLS challenge is answered by HTTP")
	}
	a.Set("a.example", nil)
	if a.TLSALPN("a.example") != nil {
		t.Error("the certificate of an order that is gone")
	}
}

func TestAnswersWhileTheyChange(t *testing.T) {
	var a Answers
	var wg sync.WaitGroup
	for _, host := range []string{"a.example", "b.example", "c.example"} {
		wg.Go(func() {
			for range 100 {
				a.Set(host, map[string][]byte{tokenKey: []byte(host), answerKey: []byte("x")})
				a.await(t.Context(), host, host)
				if _, ok := a.HTTP(host, host); !ok {
					t.Errorf("%s is not answered", host)
				}
				a.Set(host, nil)
			}
		})
	}
	wg.Wait()
}

package tickets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestRotate(t *testing.T) {
	first := New(epoch)
	if first.Next == first.Current || first.Current == first.Previous || first.Next == first.Previous {
		t.Fatal("keys of chance are the same")
	}
	for name, now := range map[string]time.Time{"at once": epoch, "just before": epoch.Add(Period - time.Second), "a clock that is behind": epoch.Add(-time.Hour)} {
		if same, due := first.Rotate(now); due || same != first {
			t.Errorf("%s: rotated", name)
		}
	}
	for name, now := range map[string]time.Time{"on time": epoch.Add(Period), "years late": epoch.AddDate(3, 0, 0), "a clock that was years ahead": epoch.AddDate(-3, 0, 0)} {
		second, due := first.Rotate(now)
		switch {
		case !due:
			t.Errorf("%s: not rotated", name)
		case second.Current != first.Next:
			t.Errorf("%s: the key that seals was not published before", name)
		case second.Previous != first.Current:
			t.Errorf("%s: tickets of the key that sealed last cannot be opened", name)
		case second.Next == first.Next || second.Next == first.Current || second.Next == first.Previous:
			t.Errorf("%s: the next key is an old one", name)
		case !second.Since.Equal(now):
			t.Errorf("%s: since %v, want %v", name, second.Since, now)
		}
	}
}

// TestReplicasOfTwoAges: whatever one replica seals, one that has not yet heard of the last
// rotation opens, and the other way round.
func TestReplicasOfTwoAges(t *testing.T) {
	old := New(epoch)
	fresh, _ := old.Rotate(epoch.Add(Period))
	knows := func(k Keys, key [32]byte) bool {
		for _, own := range k.Sealing() {
			if own == key {
				return true
			}
		}
		return false
	}
	if !knows(old, fresh.Sealing()[0]) {
		t.Error("who has the old keys cannot open what the new ones seal")
	}
	if !knows(fresh, old.Sealing()[0]) {
		t.Error("who has the new keys cannot open what the old ones sealed")
	}
	third, _ := fresh.Rotate(epoch.Add(2 * Period))
	if knows(third, old.Sealing()[0]) {
		t.Error("a key opens tickets for longer than two periods")
	}
}

func TestData(t *testing.T) {
	k := New(epoch)
	read, err := Parse(k.Data())
	if err != nil || read != k {
		t.Fatalf("read back: %v, same %t", err, read == k)
	}
	for name, spoil := range map[string]func(map[string][]byte){
		"short":     func(d map[string][]byte) { d["next"] = d["next"][:31] },
		"missing":   func(d map[string][]byte) { delete(d, "previous") },
		"zero":      func(d map[string][]byte) { d["current"] = make([]byte, 32) },
		"the same":  func(d map[string][]byte) { d["current"] = d["next"] },
		"no time":   func(d map[string][]byte) { d["since"] = []byte("yesterday") },
		"no time 2": func(d map[string][]byte) { delete(d, "since") },
	} {
		data := k.Data()
		spoil(data)
		if _, err := Parse(data); err == nil || errors.Is(err, ErrNone) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if _, err := Parse(nil); !errors.Is(err, ErrNone) {
		t.Errorf("nothing: %v, want ErrNone", err)
	}
}

// TestKeysDoNotPrint: whoever logs keys by mistake logs nothing.
func TestKeysDoNotPrint(t *testing.T) {
	k := New(epoch)
	for _, format := range []string{"%v", "%+v", "%#v", "%x", "%s", "%q"} {
		text := fmt.Sprintf(format, k)
		if bytes.Contains([]byte(text), k.Current[:4]) || bytes.Contains([]byte(text), fmt.Appendf(nil, "%x", [4]byte(k.Current[:4]))) {
			t.Errorf("%s prints the key: %s", format, text)
		}
		if !bytes.Contains([]byte(text), []byte("(secret)")) {
			t.Errorf("%s: %s", format, text)
		}
	}
}

func TestKeep(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	used, tick, ended := make(chan Keys), make(chan time.Time), make(chan struct{})
	go func() {
		defer close(ended)
		keep(ctx, func(k Keys) { used <- k }, epoch, tick)
	}()
	first := <-used
	tick <- epoch.Add(time.Minute) // nothing is due
	tick <- epoch.Add(Period)
	if second := <-used; second.Current != first.Next {
		t.Error("the next key is not used")
	}
	cancel()
	<-ended
}

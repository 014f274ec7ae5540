// Package tickets has the keys that TLS session tickets are sealed with. Replicas that have the
// same Keys resume each other's sessions; that the keys change bounds what one who gets hold of
// them can read of what was recorded.
package tickets

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"
)

// Period is how long a key seals tickets. It opens them for as long again.
const Period = 12 * time.Hour

// Key is one key. It prints as nothing that tells it.
type Key [32]byte

// Format implements fmt.Formatter.
func (Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "(secret)") }

// Keys are the three keys of a time: the one that seals, the one that did before and still opens,
// and the one that will next. The last is known to every replica for a whole Period before it is
// used, so that no ticket is sealed with what another replica has not heard of.
type Keys struct {
	Next, Current, Previous Key
	// Since is when Current began to seal.
	Since time.Time
}

// New returns Keys of chance.
func New(now time.Time) Keys {
	k := Keys{Since: now.UTC().Truncate(time.Second)}
	for _, key := range []*Key{&k.Next, &k.Current, &k.Previous} {
		key.draw()
	}
	return k
}

func (k *Key) draw() { _, _ = rand.Read(k[:]) } // never fails: it ends the program instead

// Due is when the keys are to be rotated.
func (k Keys) Due() time.Time { return k.Since.Add(Period) }

// Rotate returns the keys that follow, and whether that is due. Keys of a time to come were
// written by a clock that was wrong, and are due as well: they would stay for as long.
func (k Keys) Rotate(now time.Time) (Keys, bool) {
	if now.Before(k.Due()) && !now.Before(k.Since.Add(-Period)) {
		return k, false
	}
	next := Keys{Current: k.Next, Previous: k.Current, Since: now.UTC().Truncate(time.Second)}
	next.Next.draw()
	return next, true
}

// Sealing returns the keys as tls.Config.SetSessionTicketKeys wants them: the first seals, all
// open.
func (k Keys) Sealing() [][32]byte { return [][32]byte{k.Current, k.Previous, k.Next} }

// The keys of a Secret's data.
const (
	dataNext     = "next"
	dataCurrent  = "current"
	dataPrevious = "previous"
	dataSince    = "since"
)

// Data is what Parse reads: the data of a Secret.
func (k Keys) Data() map[string][]byte {
	return map[string][]byte{
		dataNext: k.Next[:], dataCurrent: k.Current[:], dataPrevious: k.Previous[:],
		dataSince: []byte(k.Since.UTC().Format(time.RFC3339)),
	}
}

// ErrNone is returned for data in which there are no keys yet.
var ErrNone = errors.New("there are no keys in it yet")

// Parse reads the data of a Secret. Its errors tell nothing of a key.
func Parse(data map[string][]byte) (Keys, error) {
	var k Keys
	if len(data) == 0 {
		return k, ErrNone
	}
	for name, key := range map[string]*Key{dataNext: &k.Next, dataCurrent: &k.Current, dataPrevious: &k.Previous} {
		if len(data[name]) != len(key) {
			return Keys{}, fmt.Errorf("key %s has %d bytes, want %d", name, len(data[name]), len(key))
		}
		copy(key[:], data[name])
	}
	if k.Next == k.Current || k.Current == k.Previous || k.Next == k.Previous || k.Current == (Key{}) {
		return Keys{}, errors.New("two of the three keys are the same, or one is all zero")
	}
	since, err := time.Parse(time.RFC3339, string(data[dataSince]))
	if err != nil {
		return Keys{}, fmt.Errorf("key %s is no time as RFC 3339 writes it", dataSince)
	}
	k.Since = since.UTC()
	return k, nil
}

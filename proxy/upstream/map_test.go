package upstream

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
)

// Any sequence of changes comes to what those of a map come to, and no version is changed by later ones.
func TestMap(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	keyOf := func(n int) Key { return Key{Service: fmt.Sprint(n / 4), Port: fmt.Sprint(n % 4)} }
	key := func() Key { return keyOf(random.IntN(400)) }
	versions, want := []Map[int]{{}}, []map[Key]int{{}}
	for range 60 {
		at := random.IntN(len(versions))
		edit, plain := versions[at].Edit(), maps.Clone(want[at])
		for range random.IntN(100) {
			k, v := key(), random.IntN(3)
			switch random.IntN(3) {
			case 0:
				edit.Delete(k)
				delete(plain, k)
			case 1:
				edit.Set(k, v)
				plain[k] = v
			case 2:
				got, ok := edit.Get(k)
				if is, has := plain[k]; got != is || ok != has {
					t.Fatalf("%v has %d, %v while it is edited, want %d, %v", k, got, ok, is, has)
				}
			}
		}
		versions, want = append(versions, edit.Map()), append(want, plain)
		edit.Set(key(), 9) // of a version that nobody has
		edit.Delete(key())
	}
	for i, m := range versions {
		if got := maps.Collect(m.All()); !maps.Equal(got, want[i]) || m.Len() != len(want[i]) {
			t.Fatalf("version %d has %d, %v, want %v", i, m.Len(), got, want[i])
		}
		n := 0
		for service := range 100 {
			for k := range m.Of("", fmt.Sprint(service)) {
				if n++; k.Service != fmt.Sprint(service) || !m.Has(k) {
					t.Fatalf("version %d: %v is told of service %d", i, k, service)
				}
			}
		}
		if n != m.Len() {
			t.Fatalf("version %d: %d of all services, want %d", i, n, m.Len())
		}
		for j, n := range versions {
			told := make(map[Key]bool)
			for k := range m.MayDiffer(n) {
				told[k] = true
			}
			for k := range 400 {
				k := keyOf(k)
				a, had := want[i][k]
				b, has := want[j][k]
				if v, ok := m.Get(k); v != a || ok != had || m.Has(k) != had {
					t.Fatalf("version %d has %d, %v for %v, want %d, %v", i, v, ok, k, a, had)
				}
				if (a != b || had != has) && !told[k] {
					t.Fatalf("versions %d and %d: nothing is told of %v", i, j, k)
				}
			}
		}
	}
}

// What one change costs does not depend on how much there is.
func TestMapSharesVersions(t *testing.T) {
	var all MapEdit[int]
	for i := range 10_000 {
		all.Set(Key{Service: fmt.Sprint(i)}, i)
	}
	before := all.Map()
	edit := before.Edit()
	edit.Delete(Key{Service: "none"})
	if edit.Map() != before {
		t.Error("want the same version when nothing changed")
	}
	edit.Set(Key{Service: "7"}, 0)
	n := 0
	for range before.MayDiffer(edit.Map()) {
		n++
	}
	if n == 0 || n > 400 {
		t.Errorf("one change of 10,000: %d may differ, want 2 of every 256", n)
	}
}

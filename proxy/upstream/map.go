package upstream

import (
	"hash/maphash"
	"iter"
	"maps"
)

// Map is an immutable map by Key, of which one version is made of another. Versions share what did
// not change, so that making one, and finding where two differ, cost what changed instead of
// what there is. The zero Map is empty. It is safe for concurrent use.
type Map[V any] struct {
	shards *shards[V] // nil for none
	len    int
}

// shards are what the Keys of each hash have. None is nil, once they are made. The Keys of a Service
// are all in one.
type shards[V any] [256]*shard[V]

type shard[V any] struct{ of map[Key]V }

var shardSeed = maphash.MakeSeed()

func shardOf(namespace, service string) uint8 {
	return uint8(maphash.Comparable(shardSeed, [2]string{namespace, service}))
}

// Get returns what k has, and whether it has anything.
func (m Map[V]) Get(k Key) (v V, ok bool) {
	if m.shards != nil {
		v, ok = m.shards[shardOf(k.Namespace, k.Service)].of[k]
	}
	return v, ok
}

// Has reports whether k has anything.
func (m Map[V]) Has(k Key) bool {
	_, ok := m.Get(k)
	return ok
}

// Len is the number of Keys.
func (m Map[V]) Len() int { return m.len }

// All yields what there is, in no order.
func (m Map[V]) All() iter.Seq2[Key, V] {
	return func(yield func(Key, V) bool) {
		if m.shards == nil {
			return
		}
		for _, s := range m.shards {
			for k, v := range s.of {
				if !yield(k, v) {
					return
				}
			}
		}
	}
}

// Of yields the Keys of a Service, in no order.
func (m Map[V]) Of(namespace, service string) iter.Seq[Key] {
	return func(yield func(Key) bool) {
		if m.shards == nil {
			return
		}
		for k := range m.shards[shardOf(namespace, service)].of {
			if k.Service == service && k.Namespace == namespace && !yield(k) {
				return
			}
		}
	}
}

// MayDiffer yields every Key that has something else in n than in m, or anything in one of them
// only; in any order, and maybe twice. Others that it yields are few when few changes are between m and n.
func (m Map[V]) MayDiffer(n Map[V]) iter.Seq[Key] {
	return func(yield func(Key) bool) {
		if m.shards == n.shards {
			return
		}
		for i := range 256 {
			var a, b *shard[V]
			if m.shards != nil {
				a = m.shards[i]
			}
			if n.shards != nil {
				b = n.shards[i]
			}
			if a == b {
				continue
			}
			for _, s := range [...]*shard[V]{a, b} {
				if s == nil {
					continue
				}
				for k := range s.of {
					if !yield(k) {
						return
					}
				}
			}
		}
	}
}

// Edit begins another version of m.
func (m Map[V]) Edit() *MapEdit[V] { return &MapEdit[V]{now: m} }

// MapEdit makes a version of a Map; the zero MapEdit one of the empty Map. It is not safe for
// concurrent use.
type MapEdit[V any] struct {
	now Map[V]
	own *[256]bool // the shards that no Map has; nil until something was changed
}

// Get returns what k has by now, and whether it has anything.
func (e *MapEdit[V]) Get(k Key) (V, bool) { return e.now.Get(k) }

// Set makes v what k has.
func (e *MapEdit[V]) Set(k Key, v V) {
	s := e.shard(k)
	e.now.len -= len(s.of)
	s.of[k] = v
	e.now.len += len(s.of)
}

// Delete takes from k what it has.
func (e *MapEdit[V]) Delete(k Key) {
	if e.now.Has(k) {
		delete(e.shard(k).of, k)
		e.now.len--
	}
}

// shard returns that of k, to be changed.
func (e *MapEdit[V]) shard(k Key) *shard[V] {
	if e.own == nil {
		e.own = new([256]bool)
		made := new(shards[V])
		if e.now.shards != nil {
			*made = *e.now.shards
		} else {
			for i := range made {
				made[i] = &shard[V]{make(map[Key]V)}
				e.own[i] = true
			}
		}
		e.now.shards = made
	}
	i := shardOf(k.Namespace, k.Service)
	if !e.own[i] {
		e.own[i] = true
		e.now.shards[i] = &shard[V]{maps.Clone(e.now.shards[i].of)}
	}
	return e.now.shards[i]
}

// Map returns what was made, which is what it began with if nothing was changed. What is changed
// afterwards is another version.
func (e *MapEdit[V]) Map() Map[V] {
	e.own = nil
	return e.now
}

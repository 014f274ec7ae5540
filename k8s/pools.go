package k8s

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// filled is what the Pools of the live table were given.
type filled struct {
	// sound says that the rest is right. It is false until a table is live, and from the beginning of
	// a change until its end: a panic leaves it so, and then the next change gives everything again.
	sound bool
	given upstream.Map[upstream.Resolution]   // others than those of the table's Keys mean nothing
	own   map[upstream.Key][]upstream.Address // the addresses that are our own; no empty lists
}

// equal reports whether k was given r for certain.
func (f *filled) equal(k upstream.Key, r upstream.Resolution) bool {
	before, known := f.given.Get(k)
	return f.sound && known && before.Equal(r)
}

// fill gives the Pools of keys what they lead to. What is live still is c.plan.
func (c *Controller) fill(keys upstream.Map[int], resolutions upstream.Map[upstream.Resolution]) {
	give := func(k upstream.Key) {
		r, _ := resolutions.Get(k)
		c.give(k, r)
	}
	if f := &c.filled; f.sound {
		f.sound = false
		last := c.plan.table.Keys()
		for k := range f.given.MayDiffer(resolutions) {
			before, _ := f.given.Get(k)
			if now, _ := resolutions.Get(k); last.Has(k) && keys.Has(k) && !before.Equal(now) {
				give(k)
			}
		}
		for k := range last.MayDiffer(keys) {
			if keys.Has(k) && !last.Has(k) {
				give(k)
			}
		}
	} else {
		f.own = make(map[upstream.Key][]upstream.Address)
		for k := range keys.All() {
			give(k)
		}
	}
	c.filled.given = resolutions
}

// give makes r what the Pool of k leads to.
func (c *Controller) give(k upstream.Key, r upstream.Resolution) {
	if own := c.ownOf(r); len(own) > 0 {
		c.filled.own[k] = own
	} else {
		delete(c.filled.own, k)
	}
	c.Pools.Pool(k).Set(r)
}

// release lets go of the Pools that are not of keys, those of the table that is live now. The one
// before is c.plan's, if there was one.
func (c *Controller) release(keys upstream.Map[int]) {
	if c.config {
		for k := range c.plan.table.Keys().MayDiffer(keys) {
			if !keys.Has(k) {
				c.Pools.Release(k)
				delete(c.filled.own, k)
			}
		}
	}
	if c.Pools.Kept() != keys.Len() { // all of keys are kept: others are of tables that did not become live
		c.Pools.Retain(keys.Has)
	}
}

// endpoints resolves the backends of the given Services again. When their Problems changed a
// full update follows, for Problems are its to report.
func (c *Controller) endpoints(services map[types.NamespacedName]time.Time) {
	start := time.Now()
	var since time.Time
	err := guard(func() {
		sound := c.filled.sound
		for name, at := range services {
			if name == c.Replicas.Service {
				c.countReplicas(c.service(name))
			}
			s := c.service(name)
			if c.Translator.Recheck(s, name) {
				c.changes.notifyAt(types.NamespacedName{}, at)
			}
			for k := range c.plan.table.Keys().Of(name.Namespace, name.Name) {
				if since.IsZero() || at.Before(since) {
					since = at
				}
				r, _ := c.Translator.Resolve(s, k)
				if c.filled.equal(k, r) {
					continue
				}
				own := c.filled.own[k]
				c.filled.sound = false
				c.give(k, r)
				given := c.filled.given.Edit()
				given.Set(k, r)
				c.filled.given, c.filled.sound = given.Map(), sound
				if !slices.Equal(own, c.filled.own[k]) {
					c.changes.notifyAt(types.NamespacedName{}, at)
				}
			}
		}
	})
	if err != nil {
		c.panicked(err)
	}
	if !since.IsZero() {
		c.update(Update{Since: since, Took: time.Since(start), Endpoints: true, Err: err})
	}
}

func (c *Controller) service(name types.NamespacedName) *ingress.Snapshot {
	if s, ok := c.Source.(serviceSource); ok {
		return s.Service(name)
	}
	return c.Source.Snapshot()
}

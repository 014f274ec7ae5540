package k8s

import (
	"cmp"
	"fmt"
	"time"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// maxBehind is how long lists are refused that are older than what is known. A server that is behind
// the others has caught up by then, or does not answer any more; one whose data were restored
// from a backup has not, and what it says is the truth.
const maxBehind = 5 * time.Minute

// versions is what is known of the versions of a mirror's objects. Resource versions of a kind can be
// compared; those that are no numbers, as other servers may have them, are older than none.
type versions struct {
	newest string    // of all objects and lists that came
	behind time.Time // since when every list is older than newest; zero: the last one was not
	// dropped are the versions of objects that differ in nothing that matters from those that
	// are kept in their place.
	dropped map[types.NamespacedName]string
}

func older(a, b string) bool {
	c, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && c < 0
}

// saw notes a version of an object or a list.
func (v *versions) saw(version string) {
	if v.newest == "" || older(v.newest, version) {
		v.newest = version
	}
}

// drop notes that a version of an object is as good as that which is kept.
func (v *versions) drop(k types.NamespacedName, version string) {
	if v.dropped == nil {
		v.dropped = make(map[types.NamespacedName]string)
	}
	v.dropped[k] = version
}

// isOld reports whether a watch brings a version of an object that is older than what it had brought
// before. It is called with the lock held.
func (m *mirror[T]) isOld(obj T) bool {
	k := keyOf(obj)
	kept, known := m.objects[k]
	if !known {
		return false
	}
	last, ok := m.versions.dropped[k]
	if !ok {
		last = kept.GetResourceVersion()
	}
	return older(obj.GetResourceVersion(), last)
}

// refuse returns why a list is not to be used; nil for no reason. It is called with the lock held.
func (m *mirror[T]) refuse(version string) error {
	if !m.loaded || !older(version, m.versions.newest) {
		m.versions.behind = time.Time{}
		return nil
	}
	log := m.cluster.log.With(zap.String("kind", m.kind), zap.String("version", version), zap.String("known", m.versions.newest))
	patience := cmp.Or(m.cluster.maxBehind, maxBehind)
	switch {
	case m.versions.behind.IsZero():
		m.versions.behind = time.Now()
		log.Warn("an API server is behind: what it has is older than what is known, which is kept", zap.Duration("for", patience))
	case time.Since(m.versions.behind) >= patience:
		log.Warn("the API server has gone back for good: its objects are taken as they are")
		m.versions = versions{}
		return nil
	}
	return fmt.Errorf("an older list of %s: got version %s, want %s or later", m.kind, version, m.versions.newest)
}

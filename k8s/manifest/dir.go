package manifest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// Options say what to read. Only Dir is needed.
type Options struct {
	// Dir is read with its sub-directories: files named *.yaml, *.yml and *.json. Names that
	// begin with a dot are left out. Symbolic links are followed.
	Dir string
	// Quiet is how long the directory must be still before a change is read: 0 means 20 ms.
	Quiet time.Duration
	// MaxDelay bounds the wait for quiet, from the first change: 0 means 100 ms.
	MaxDelay time.Duration
	// Rescan is how often the directory is compared with what was read, whatever the system
	// reports, as network file systems report nothing: 0 means 10 s.
	Rescan time.Duration
}

// Dir is a watched directory of manifests. It implements k8s.Source.
type Dir struct {
	o       Options
	current atomic.Pointer[Manifests]
	loader  *loader // owned by New, then by Run

	newWatcher func() (*fsnotify.Watcher, error) // for tests of systems that have none to give
}

// New reads the directory. It fails when the directory cannot be read; mistakes inside it are
// Problems.
func New(o Options) (*Dir, error) {
	o.Quiet = orDefault(o.Quiet, 20*time.Millisecond)
	o.MaxDelay = orDefault(o.MaxDelay, 100*time.Millisecond)
	o.Rescan = orDefault(o.Rescan, 10*time.Second)
	info, err := os.Stat(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("manifests directory: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("manifests directory: %w",
			&fs.PathError{Op: "read", Path: o.Dir, Err: errors.New("not a directory")})
	}
	d := &Dir{o: o, newWatcher: fsnotify.NewWatcher}
	tree := newTree()
	if err := tree.walk(o.Dir); err != nil {
		return nil, fmt.Errorf("manifests directory: %w", err)
	}
	r := new(loader).load(tree, everything, 0)
	d.current.Store(r.manifests)
	d.loader = r.next
	return d, nil
}

func orDefault(d, def time.Duration) time.Duration {
	if d <= 0 {
		return def
	}
	return d
}

// Snapshot returns what was read last. It is never nil.
func (d *Dir) Snapshot() *ingress.Snapshot { return d.current.Load().Snapshot() }

// Problems returns what is wrong with the files, ordered by file and line. It is shared: read
// only.
func (d *Dir) Problems() []Problem { return d.current.Load().Problems() }

// Position is Manifests.Position of what was read last.
func (d *Dir) Position(o ingress.Object, field string) (file string, line int, ok bool) {
	return d.current.Load().Position(o, field)
}

// Run follows the directory until ctx ends, and then returns nil. After a change it calls
// notify, on its own goroutine: with the name of a Service for each whose EndpointSlices
// changed, when nothing else did, and with the zero name otherwise. Run is called once.
func (d *Dir) Run(ctx context.Context, notify func(service types.NamespacedName)) error {
	f := &follower{Dir: d, notify: notify, dirty: make(map[string]struct{}), timer: time.NewTimer(d.o.Rescan)}
	f.watcher, f.failure = d.newWatcher()
	f.run(ctx)
	return nil
}

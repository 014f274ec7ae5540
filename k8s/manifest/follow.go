package manifest

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// rescanUnwatched replaces Options.Rescan while the system refuses to watch.
	rescanUnwatched = time.Second
	// rescanMissing replaces it while the directory is gone.
	rescanMissing = 200 * time.Millisecond
)

// follower keeps a Dir up to date. Its goroutine is that of Dir.Run.
type follower struct {
	*Dir
	notify func(types.NamespacedName)

	watcher *fsnotify.Watcher // nil when the system has none left
	failure error             // why there is none
	refused map[string]error  // by directory: why it is not watched
	tree    *tree             // of the last walk: what changes concern
	dirty   map[string]struct{}
	all     bool      // changes were lost: everything is dirty
	since   time.Time // of the first change that was not published; zero when there is none
	timer   *time.Timer
}

// run reads the directory at once, as it may have changed since New, and then after each
// change and now and then.
func (f *follower) run(ctx context.Context) {
	defer f.timer.Stop()
	var events <-chan fsnotify.Event
	var failures <-chan error
	if w := f.watcher; w != nil {
		defer w.Close()
		events, failures = f.watcher.Events, f.watcher.Errors
	}
	f.read()
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-events:
			if !ok {
				events, failures, f.watcher, f.failure = nil, nil, nil, errors.New("the watch has ended")
				f.soon()
				continue
			}
			if f.tree.concerns(e.Name, e.Has(fsnotify.Create)) {
				f.dirty[e.Name] = struct{}{}
				f.soon()
			}
		case _, ok := <-failures:
			if !ok {
				failures = nil
				continue
			}
			// Mostly an overflow of the queue: some changes were lost.
			f.all = true
			f.soon()
		case <-f.timer.C:
			f.read()
		}
	}
}

// soon sets the timer: after a quiet time, within the bound that the first change began.
func (f *follower) soon() {
	if f.since.IsZero() {
		f.since = time.Now()
	}
	f.timer.Reset(min(f.o.Quiet, time.Until(f.since.Add(f.o.MaxDelay))))
}

// read reads the directory and publishes what it holds, or puts that off while a writer seems
// to be at work.
func (f *follower) read() {
	if f.since.IsZero() {
		f.since = time.Now()
	}
	t := newTree()
	f.refused = make(map[string]error)
	watched := make(map[string]struct{})
	t.watch = func(dir string) {
		if _, ok := watched[dir]; !ok {
			watched[dir] = struct{}{}
			f.watch(dir)
		}
	}
	err := t.walk(f.o.Dir)
	f.tree = t
	f.unwatch(watched)
	if err != nil {
		if time.Since(f.since) < f.o.MaxDelay {
			f.soon() // it may be about to be replaced
			return
		}
		f.publish(f.current.Load().without(fileProblem(f.o.Dir, FileUnreadable, err)))
		f.since = time.Time{}
		f.timer.Reset(min(rescanMissing, f.o.Rescan))
		return
	}
	if f.watcher == nil {
		t.problems = append(t.problems, fileProblem(f.o.Dir, WatchUnavailable, f.failure))
	}
	for dir, err := range f.refused {
		// Those above the directory matter less: they need not even be readable.
		if _, ok := t.dirs[dir]; ok {
			t.problems = append(t.problems, fileProblem(dir, WatchUnavailable, err))
		}
	}
	r := f.loader.load(t, f.isDirty, f.o.Quiet)
	if !r.settled && time.Since(f.since) < f.o.MaxDelay {
		f.soon()
		return
	}
	f.loader = r.next
	f.publish(r.manifests)
	clear(f.dirty)
	f.all, f.since = false, time.Time{}
	if f.watcher == nil || len(f.refused) > 0 {
		f.timer.Reset(min(rescanUnwatched, f.o.Rescan))
	} else {
		f.timer.Reset(f.o.Rescan)
	}
}

func (f *follower) isDirty(real string) bool {
	_, ok := f.dirty[real]
	return ok || f.all
}

// publish makes m current and tells of what is different.
func (f *follower) publish(m *Manifests) {
	old := f.current.Load()
	services, other := diff(old.snapshot, m.snapshot)
	if len(services) == 0 && !other {
		around := m.snapshot.Around
		m.snapshot = old.snapshot
		if !sameAround(old.snapshot.Around, around) {
			// The lists and maps stay the same memory: nothing that is served is different.
			m.snapshot = new(*old.snapshot)
			m.snapshot.Around = around
		}
	}
	f.current.Store(m)
	if other || !sameProblems(old.problems, m.problems) {
		f.notify(types.NamespacedName{})
		return
	}
	for _, name := range services {
		f.notify(name)
	}
}

// watch has the system report changes in a directory. Adding one again does no harm, and is
// needed when another directory has come in its place.
func (f *follower) watch(dir string) {
	if f.watcher == nil {
		return
	}
	if err := f.watcher.Add(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.refused[dir] = err
	}
}

// unwatch ends the watching of directories that matter no more.
func (f *follower) unwatch(watched map[string]struct{}) {
	if f.watcher == nil {
		return
	}
	for _, dir := range f.watcher.WatchList() {
		if _, ok := watched[dir]; !ok {
			// It may be gone already, and its watch with it.
			_ = f.watcher.Remove(dir)
		}
	}
}

// without returns m as it stands when the directory cannot be read: with its objects, as a
// cluster's stay while its API server is away, and with p.
func (m *Manifests) without(p Problem) *Manifests {
	kept := slices.DeleteFunc(slices.Clone(m.problems), func(q Problem) bool {
		return q.File == p.File && q.Reason == p.Reason
	})
	problems := append([]Problem{p}, kept...)
	slices.SortFunc(problems, comparePlace)
	return &Manifests{snapshot: m.snapshot, problems: problems, places: m.places}
}

package manifest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/goleak"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

const deadline = 20 * time.Second

// following is a Dir whose Run is under way.
type following struct {
	*Dir
	mu     sync.Mutex
	told   []types.NamespacedName
	wakeup chan struct{}
}

// follow runs a Dir of o until the end of the test, beginning with its first look.
func follow(t *testing.T, o Options, configure ...func(*Dir)) *following {
	t.Helper()
	before := goleak.IgnoreCurrent()
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range configure {
		c(d)
	}
	f := &following{Dir: d, wakeup: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		done <- d.Run(ctx, func(name types.NamespacedName) {
			f.mu.Lock()
			f.told = append(f.told, name)
			f.mu.Unlock()
			select {
			case f.wakeup <- struct{}{}:
			default:
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		goleak.VerifyNone(t, before)
	})
	return f
}

// until waits for a notification after which ok holds.
func (f *following) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	start := time.Now()
	timeout := time.After(deadline)
	for !ok() {
		select {
		case <-f.wakeup:
		case <-timeout:
			t.Fatalf("not within %v: %s; services %v, problems:\n%s", deadline, what, f.services(), problemList(f.Problems()))
		}
	}
	t.Logf("%s after %v", what, time.Since(start).Round(time.Millisecond))
}

// services returns the names of the Services, sorted and in one string.
func (f *following) services() string {
	var names []string
	for name := range f.Snapshot().Services {
		names = append(names, name.Name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func (f *following) untilServices(t *testing.T, want string) {
	t.Helper()
	f.until(t, "services "+want, func() bool { return f.services() == want })
}

// takeTold returns the notifications since it was last called.
func (f *following) takeTold() []types.NamespacedName {
	f.mu.Lock()
	defer f.mu.Unlock()
	told := f.told
	f.told = nil
	return told
}

func service(name string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec: {ports: [{port: 80}]}\n", name)
}

func slice(name, service, address string) string {
	return fmt.Sprintf(`apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %s, labels: {kubernetes.io/service-name: %s}}
addressType: IPv4
endpoints: [{addresses: [%s]}]
`, name, service, address)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestRunSeesWrites has one case for each way in which files come to change.
func TestRunSeesWrites(t *testing.T) {
	for _, c := range []struct {
		name  string
		begin func(t *testing.T, dir string)
		write func(t *testing.T, dir string)
	}{
		{
			name:  "truncate and write",
			write: func(t *testing.T, dir string) { write(t, dir+"/a.yaml", service("after")) },
		},
		{
			name: "rename over",
			write: func(t *testing.T, dir string) {
				write(t, dir+"/.a.yaml.tmp", service("after"))
				must(t, os.Rename(dir+"/.a.yaml.tmp", dir+"/a.yaml"))
			},
		},
		{
			name: "move in from another directory",
			write: func(t *testing.T, dir string) {
				other := filepath.Join(filepath.Dir(dir), "new.yaml")
				write(t, other, service("after"))
				must(t, os.Rename(other, dir+"/a.yaml"))
			},
		},
		{
			name: "backup, then a new file, as vim",
			write: func(t *testing.T, dir string) {
				write(t, dir+"/4913", "")
				must(t, os.Remove(dir+"/4913"))
				must(t, os.Rename(dir+"/a.yaml", dir+"/a.yaml~"))
				write(t, dir+"/a.yaml", service("after"))
				must(t, os.Remove(dir+"/a.yaml~"))
			},
		},
		{
			name: "remove and create",
			write: func(t *testing.T, dir string) {
				must(t, os.Remove(dir+"/a.yaml"))
				write(t, dir+"/a.yaml", service("after"))
			},
		},
		{
			name: "the same size and the same time",
			write: func(t *testing.T, dir string) {
				info, err := os.Stat(dir + "/a.yaml")
				must(t, err)
				write(t, dir+"/a.yaml", strings.Replace(service("before"), "before", "after ", 1))
				must(t, os.Chtimes(dir+"/a.yaml", info.ModTime(), info.ModTime()))
			},
		},
		{
			name: "a new sub-directory",
			write: func(t *testing.T, dir string) {
				must(t, os.Remove(dir+"/a.yaml"))
				write(t, dir+"/b/c/a.yaml", service("after"))
			},
		},
		{
			name:  "a file in a sub-directory",
			begin: func(t *testing.T, dir string) { write(t, dir+"/b/x.txt", "") },
			write: func(t *testing.T, dir string) {
				must(t, os.Remove(dir+"/a.yaml"))
				write(t, dir+"/b/a.yaml", service("after"))
			},
		},
		{
			name: "a directory moved in",
			write: func(t *testing.T, dir string) {
				other := filepath.Join(filepath.Dir(dir), "other")
				write(t, other+"/b.yaml", service("after"))
				must(t, os.Remove(dir+"/a.yaml"))
				must(t, os.Rename(other, dir+"/sub"))
			},
		},
		{
			name: "a directory moved out",
			begin: func(t *testing.T, dir string) {
				write(t, dir+"/sub/a.yaml", service("before"))
				write(t, dir+"/a.yaml", service("after"))
			},
			write: func(t *testing.T, dir string) {
				must(t, os.Rename(dir+"/sub", filepath.Join(filepath.Dir(dir), "gone")))
			},
		},
		{
			name: "a mounted ConfigMap",
			begin: func(t *testing.T, dir string) {
				must(t, os.Remove(dir+"/a.yaml"))
				write(t, dir+"/..1/a.yaml", service("before"))
				must(t, os.Symlink("..1", dir+"/..data"))
				must(t, os.Symlink("..data/a.yaml", dir+"/a.yaml"))
			},
			write: func(t *testing.T, dir string) {
				write(t, dir+"/..2/a.yaml", service("after"))
				must(t, os.Symlink("..2", dir+"/..data_tmp"))
				must(t, os.Rename(dir+"/..data_tmp", dir+"/..data"))
				must(t, os.RemoveAll(dir+"/..1"))
			},
		},
		{
			name: "a link to a file elsewhere, that is edited",
			begin: func(t *testing.T, dir string) {
				other := filepath.Join(filepath.Dir(dir), "other.txt")
				must(t, os.Rename(dir+"/a.yaml", other))
				must(t, os.Symlink(other, dir+"/a.yaml"))
			},
			write: func(t *testing.T, dir string) {
				write(t, filepath.Join(filepath.Dir(dir), "other.txt"), service("after"))
			},
		},
		{
			name: "the directory is replaced",
			write: func(t *testing.T, dir string) {
				must(t, os.RemoveAll(dir))
				write(t, dir+"/a.yaml", service("after"))
			},
		},
		{
			name: "another directory is moved in its place",
			write: func(t *testing.T, dir string) {
				parent := filepath.Dir(dir)
				write(t, parent+"/new/a.yaml", service("after"))
				must(t, os.Rename(dir, parent+"/old"))
				must(t, os.Rename(parent+"/new", dir))
			},
		},
		{
			name: "a checkout whose link is replaced further up",
			begin: func(t *testing.T, dir string) {
				parent := filepath.Dir(dir)
				must(t, os.RemoveAll(dir))
				write(t, parent+"/rev1/m/a.yaml", service("before"))
				must(t, os.Symlink("rev1/m", dir))
			},
			write: func(t *testing.T, dir string) {
				parent := filepath.Dir(dir)
				write(t, parent+"/rev2/m/a.yaml", service("after"))
				must(t, os.Symlink("rev2/m", parent+"/next"))
				must(t, os.Rename(parent+"/next", dir))
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "manifests")
			write(t, dir+"/a.yaml", service("before"))
			if c.begin != nil {
				c.begin(t, dir)
			}
			// Without the events nothing would be seen in time.
			f := follow(t, Options{Dir: dir, Rescan: time.Hour})
			write(t, dir+"/started.yaml", service("a"))
			f.until(t, "started", func() bool { return strings.HasPrefix(f.services(), "a ") })
			c.write(t, dir)
			f.until(t, "the change", func() bool {
				s := f.services()
				return strings.Contains(s, "after") && !strings.Contains(s, "before")
			})
		})
	}
}

// TestRunNotifies tells which notification each change is followed by, and that unchanged
// objects stay the same.
func TestRunNotifies(t *testing.T) {
	dir := t.TempDir()
	web, api := types.NamespacedName{Namespace: "default", Name: "web"}, types.NamespacedName{Namespace: "default", Name: "api"}
	all := service("web") + "---\n" + slice("web-1", "web", "10.0.0.1") + "---\n" + slice("api-1", "api", "10.0.0.1")
	write(t, dir+"/a.yaml", all)
	f := follow(t, Options{Dir: dir, Rescan: time.Hour})

	step := func(what, text string, want ...types.NamespacedName) {
		t.Helper()
		before := f.Snapshot()
		write(t, dir+"/a.yaml", text)
		var told []types.NamespacedName
		f.until(t, what, func() bool {
			told = append(told, f.takeTold()...)
			return f.Snapshot() != before && len(told) >= len(want)
		})
		slices.SortFunc(told, func(a, b types.NamespacedName) int { return strings.Compare(a.Name, b.Name) })
		if !slices.Equal(told, want) {
			t.Errorf("%s: notified of %v, want %v", what, told, want)
		}
	}
	first := f.Snapshot()
	changed := strings.Replace(all, "10.0.0.1", "10.0.0.2", 1)
	step("one address", changed, web)
	if f.Snapshot().Services[web] != first.Services[web] {
		t.Error("the Service did not change, and is another object")
	}
	if f.Snapshot().Slices[api][0] != first.Slices[api][0] {
		t.Error("the EndpointSlice of api did not change, and is another object")
	}
	if f.Snapshot().Slices[web][0] == first.Slices[web][0] {
		t.Error("the EndpointSlice of web changed, and is the same object")
	}
	step("both addresses", strings.ReplaceAll(all, "10.0.0.1", "10.0.0.3"), api, web)
	step("a slice is gone", strings.ReplaceAll(service("web")+"---\n"+slice("web-1", "web", "10.0.0.1"), "10.0.0.1", "10.0.0.3"), api)
	step("a slice and a Service", strings.ReplaceAll(all, "port: 80", "port: 81"), types.NamespacedName{})
}

// TestRunIgnoresWhatMeansNothing: comments, order and other files are no change. A last real
// change shows that the others were seen before it.
func TestRunIgnoresWhatMeansNothing(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/a.yaml", service("a")+"---\n"+service("b"))
	f := follow(t, Options{Dir: dir, Rescan: time.Hour})
	first := f.Snapshot()
	file := func(o ingress.Object) string {
		path, line, _ := f.Position(o, "")
		return fmt.Sprintf("%s:%d", filepath.Base(path), line)
	}
	a := ingress.Object{Kind: "Service", Namespace: "default", Name: "a"}

	write(t, dir+"/a.yaml", "# a comment\n"+service("b")+"---\n# and another\n"+service("a"))
	waitFor(t, "the new position", func() bool { return file(a) == "a.yaml:8" })
	write(t, dir+"/notes.txt", "not: read")
	must(t, os.Rename(dir+"/a.yaml", dir+"/b.yaml"))
	waitFor(t, "the new name", func() bool { return file(a) == "b.yaml:8" })

	if f.Snapshot() != first {
		t.Error("the Snapshot is another one")
	}
	if told := f.takeTold(); len(told) > 0 {
		t.Errorf("notified of %v", told)
	}
}

// waitFor is for what no notification follows.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for timeout := time.After(deadline); !ok(); {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("not within %v: %s", deadline, what)
		}
	}
}

// TestRunReportsProblems: they come and go with their files, and each time somebody is told.
func TestRunReportsProblems(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/a.yaml", service("a"))
	f := follow(t, Options{Dir: dir, Rescan: time.Hour})
	write(t, dir+"/b.yaml", "a: [")
	f.until(t, "the problem", func() bool { return len(f.Problems()) == 1 })
	if p := f.Problems()[0]; p.File != dir+"/b.yaml" || p.Reason != InvalidYAML {
		t.Errorf("got %v", p)
	}
	if f.services() != "a" {
		t.Errorf("services %q; the rest must be served", f.services())
	}
	must(t, os.Remove(dir+"/b.yaml"))
	f.until(t, "no problem", func() bool { return len(f.Problems()) == 0 })
}

// TestRunKeepsObjectsWithoutDirectory: a directory that cannot be read is like an API server
// that is away.
func TestRunKeepsObjectsWithoutDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "manifests")
	write(t, dir+"/a.yaml", service("a"))
	f := follow(t, Options{Dir: dir, Rescan: time.Hour})
	must(t, os.Rename(dir, dir+".away"))
	f.until(t, "the problem", func() bool { return len(f.Problems()) == 1 })
	if p := f.Problems()[0]; p.File != dir || p.Reason != FileUnreadable || f.services() != "a" {
		t.Errorf("problem %v, services %q", p, f.services())
	}
	must(t, os.Rename(dir+".away", dir))
	f.until(t, "no problem", func() bool { return len(f.Problems()) == 0 })
	write(t, dir+"/b.yaml", service("b"))
	f.untilServices(t, "a b")
}

// TestRunSeesWhatChangedBeforeIt: nothing is lost between New and Run.
func TestRunSeesWhatChangedBeforeIt(t *testing.T) {
	dir := t.TempDir()
	f := follow(t, Options{Dir: dir, Rescan: time.Hour}, func(*Dir) {
		write(t, dir+"/a.yaml", service("a"))
	})
	f.untilServices(t, "a")
}

// TestRunWithoutWatch reads once a second and says so.
func TestRunWithoutWatch(t *testing.T) {
	dir := t.TempDir()
	f := follow(t, Options{Dir: dir}, func(d *Dir) {
		d.newWatcher = func() (*fsnotify.Watcher, error) { return nil, syscall.EMFILE }
	})
	f.until(t, "the problem", func() bool {
		return slices.ContainsFunc(f.Problems(), func(p Problem) bool {
			return p.Reason == WatchUnavailable && errors.Is(p.Err, syscall.EMFILE)
		})
	})
	write(t, dir+"/a.yaml", service("a"))
	f.untilServices(t, "a")
}

// TestRunWritersAtWork: a file that is written slowly is not read half. Each write comes
// within the quiet time of the one before, and all within the bound.
func TestRunWritersAtWork(t *testing.T) {
	dir := t.TempDir()
	path := dir + "/a.yaml"
	write(t, path, service("a"))
	f := follow(t, Options{Dir: dir, Rescan: time.Hour, Quiet: time.Second, MaxDelay: time.Minute})
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	must(t, err)
	text := service("a") + "---\n" + service("b") + "---\n" + service("c")
	for part := range slices.Chunk([]byte(text), len(text)/20) {
		_, err := file.Write(part)
		must(t, err)
		pause(t, 5*time.Millisecond)
	}
	must(t, file.Close())
	f.untilServices(t, "a b c")
	if told := f.takeTold(); len(told) != 1 {
		t.Errorf("notified %d times, want once", len(told))
	}
}

// pause lets other goroutines see a state that does not last.
func pause(t *testing.T, d time.Duration) {
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

// TestRunBoundsTheWait: changes that never end are read nevertheless.
func TestRunBoundsTheWait(t *testing.T) {
	dir := t.TempDir()
	f := follow(t, Options{Dir: dir, Rescan: time.Hour, Quiet: time.Hour, MaxDelay: 50 * time.Millisecond})
	write(t, dir+"/a.yaml", service("a"))
	f.untilServices(t, "a") // which the first look may have seen
	write(t, dir+"/b.yaml", service("b"))
	f.untilServices(t, "a b")
}

// TestRunEmptied: a file that was only emptied is taken for what it is in the end.
func TestRunEmptied(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/a.yaml", service("a"))
	write(t, dir+"/b.yaml", service("b"))
	f := follow(t, Options{Dir: dir, Rescan: time.Hour})
	write(t, dir+"/a.yaml", "")
	f.untilServices(t, "b")
}

// TestRunRescans sees on its own what no event told of.
func TestRunRescans(t *testing.T) {
	dir := t.TempDir()
	f := follow(t, Options{Dir: dir, Rescan: 20 * time.Millisecond}, func(d *Dir) {
		d.newWatcher = func() (*fsnotify.Watcher, error) {
			w, err := fsnotify.NewWatcher()
			if err == nil {
				err = w.Close() // adding to it fails, and it says nothing
			}
			return w, err
		}
	})
	write(t, dir+"/a.yaml", service("a"))
	f.untilServices(t, "a")
	f.until(t, "the problem", func() bool {
		return len(f.Problems()) == 1 && f.Problems()[0].Reason == WatchUnavailable
	})
}

func TestNewErrors(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/file", "")
	for _, path := range []string{dir + "/missing", dir + "/file", ""} {
		_, err := New(Options{Dir: path})
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("New(%q): %v; want an error that names it", path, err)
		}
	}
	if _, err := New(Options{Dir: dir + "/missing"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist in it", err)
	}
}

// TestNewIsReady: there is a Snapshot before Run.
func TestNewIsReady(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/a.yaml", slice("web-1", "web", "127.0.0.1"))
	d, err := New(Options{Dir: dir})
	must(t, err)
	s := d.Snapshot()
	var got []*discoveryv1.EndpointSlice = s.Slices[types.NamespacedName{Namespace: "default", Name: "web"}]
	if len(got) != 1 || !s.LocalEndpoints {
		t.Errorf("slices %v, LocalEndpoints %t", got, s.LocalEndpoints)
	}
}

// TestRunConverges: after any sequence of changes the objects are those of a fresh reading.
func TestRunConverges(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m")
	must(t, os.MkdirAll(dir+"/sub", 0o755))
	f := follow(t, Options{Dir: dir, Rescan: time.Hour, Quiet: time.Millisecond, MaxDelay: 5 * time.Millisecond})
	random := rand.New(rand.NewPCG(1, 2))
	paths := []string{"a.yaml", "b.yaml", "sub/a.yaml", "sub/c.yaml", "sub/deep/a.yaml", ".hidden.yaml", "x.txt"}
	path := func() string { return filepath.Join(dir, paths[random.IntN(len(paths))]) }
	text := func() string {
		var docs []string
		for range random.IntN(4) {
			docs = append(docs, []string{
				service(fmt.Sprintf("s%d", random.IntN(5))),
				slice(fmt.Sprintf("e%d", random.IntN(3)), fmt.Sprintf("s%d", random.IntN(3)), fmt.Sprintf("10.0.0.%d", random.IntN(3)+1)),
				"broken: [",
				"# nothing\n",
			}[random.IntN(4)])
		}
		return strings.Join(docs, "---\n")
	}
	// Errors are part of it: what is to be moved may not be there.
	steps := []func(){
		func() { write(t, path(), text()) },
		func() { write(t, path(), text()) },
		func() { _ = os.Rename(path(), path()) },
		func() { _ = os.Remove(path()) },
		func() { _ = os.RemoveAll(dir + "/sub/deep") },
		func() { _ = os.Rename(dir+"/sub", dir+"/other") },
		func() { _ = os.Rename(dir+"/other", dir+"/sub") },
		func() { _ = os.Remove(path()); _ = os.Symlink("a.yaml", path()) },
		func() { must(t, os.Rename(dir, dir+".new")); must(t, os.Rename(dir+".new", dir)) },
		func() { _ = os.Chmod(path(), 0o600) },
	}
	for round := range 20 {
		for range 1 + random.IntN(20) {
			steps[random.IntN(len(steps))]()
			if random.IntN(4) == 0 {
				pause(t, time.Duration(random.IntN(3000))*time.Microsecond)
			}
		}
		want, err := Load(dir)
		must(t, err)
		waitFor(t, fmt.Sprintf("round %d: the objects of a fresh reading", round), func() bool {
			return reflect.DeepEqual(f.Snapshot(), want.Snapshot()) && sameProblems(f.Problems(), want.Problems())
		})
	}
}

package k8s

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

// apiServer speaks the API's protocol over a real socket, as much of it as is needed here, and
// misbehaves as it is told. The tests in e2e/cluster have a real one, which does not.
type apiServer struct {
	*httptest.Server

	mu       sync.Mutex
	version  int
	objects  map[string]map[string]any // by path, such as "apis/GROUP/VERSION/namespaces/NS/RESOURCE/NAME"
	history  []change
	watchers map[*watcher]struct{}
	requests []string // "VERB RESOURCE", those refused too

	// refuse returns the status to refuse a request with; 0 for none. Nil refuses nothing.
	refuse func(verb, resource, name string) int
	// noInitialEvents makes watches that begin with a list an error, as they are to old servers.
	noInitialEvents bool
	// forgetful makes every watch from a version an expired one.
	forgetful bool
	// behind, if not 0, is the version that the server has not got past.
	behind int
	// repeats makes watches from a version begin with everything that ever happened.
	repeats bool
}

// seenLocked is how much of the history the server knows.
func (a *apiServer) seenLocked() int {
	if a.behind == 0 {
		return len(a.history)
	}
	n, _ := slices.BinarySearchFunc(a.history, a.behind+1, func(c change, v int) int { return c.version - v })
	return n
}

// stateLocked is what the server knows: its objects by path, and the version.
func (a *apiServer) stateLocked() (map[string]map[string]any, int) {
	if a.behind == 0 {
		return a.objects, a.version
	}
	objects := make(map[string]map[string]any)
	for _, c := range a.history[:a.seenLocked()] {
		if c.kind == "DELETED" {
			delete(objects, c.path)
		} else {
			objects[c.path] = c.object
		}
	}
	return objects, a.behind
}

// change is one event of a watch.
type change struct {
	version int
	kind    string // ADDED, MODIFIED or DELETED
	path    string
	object  map[string]any
}

// watcher is a watch that is open.
type watcher struct {
	selects func(path string, object map[string]any) bool
	wake    chan struct{}
	next    int // the index in history
	end     int // where the server ends the watch; -1 for nowhere
}

func newAPIServer(t testing.TB) *apiServer {
	t.Helper()
	a := &apiServer{version: 100, objects: make(map[string]map[string]any), watchers: make(map[*watcher]struct{})}
	a.Server = httptest.NewServer(a)
	t.Cleanup(func() {
		a.dropWatches()
		a.CloseClientConnections()
		a.Close()
	})
	return a
}

// client returns a client of the server.
func (a *apiServer) client(t testing.TB) kubernetes.Interface {
	t.Helper()
	config := &rest.Config{Host: a.URL, QPS: -1}
	config.ContentType, config.AcceptContentTypes = "application/json", "application/json"
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(httpClient.CloseIdleConnections)
	client, err := kubernetes.NewForConfigAndClient(config, httpClient)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// groups has the group and resource of the kinds in test manifests.
var groups = map[string][2]string{
	"Ingress": {"apis/networking.k8s.io/v1", "ingresses"}, "IngressClass": {"apis/networking.k8s.io/v1", "ingressclasses"},
	"Service": {"api/v1", "services"}, "Secret": {"api/v1", "secrets"}, "ConfigMap": {"api/v1", "configmaps"}, "EndpointSlice": {"apis/discovery.k8s.io/v1", "endpointslices"},
}

// apply creates or replaces the objects of some YAML. What is the same stays as it is.
func (a *apiServer) apply(t testing.TB, text string) {
	t.Helper()
	for _, document := range strings.Split(text, "---\n") {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatal(err)
		}
		if len(object) > 0 {
			a.put(pathOf(object), object)
		}
	}
}

// pathOf completes an object and returns where it is.
func pathOf(object map[string]any) string {
	kind := object["kind"].(string)
	group := groups[kind]
	object["apiVersion"] = strings.TrimPrefix(strings.TrimPrefix(group[0], "apis/"), "api/")
	meta := object["metadata"].(map[string]any)
	path := group[0]
	if kind != "IngressClass" {
		if meta["namespace"] == nil {
			meta["namespace"] = "default"
		}
		path += "/namespaces/" + meta["namespace"].(string)
	}
	return path + "/" + group[1] + "/" + meta["name"].(string)
}

func (a *apiServer) put(path string, object map[string]any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.putLocked(path, object)
}

func (a *apiServer) putLocked(path string, object map[string]any) map[string]any {
	a.version++
	object = clone(object)
	meta := object["metadata"].(map[string]any)
	kind := "ADDED"
	if old := a.objects[path]; old != nil {
		kind = "MODIFIED"
		meta["uid"], meta["creationTimestamp"] = at(old, "metadata", "uid"), at(old, "metadata", "creationTimestamp")
		if object["status"] == nil && old["status"] != nil {
			object["status"] = old["status"]
		}
	} else {
		meta["uid"] = fmt.Sprintf("uid-%d", a.version)
		meta["creationTimestamp"] = time.Unix(1_800_000_000+int64(a.version), 0).UTC().Format(time.RFC3339)
	}
	meta["resourceVersion"] = strconv.Itoa(a.version)
	a.objects[path] = object
	a.happened(change{a.version, kind, path, object})
	return object
}

// remove deletes an object.
func (a *apiServer) remove(path string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	object := clone(a.objects[path])
	delete(a.objects, path)
	a.version++
	object["metadata"].(map[string]any)["resourceVersion"] = strconv.Itoa(a.version)
	a.happened(change{a.version, "DELETED", path, object})
}

// touch gives an object a new version and changes nothing else.
func (a *apiServer) touch(path string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.putLocked(path, a.objects[path])
}

// edit changes an object in place with f.
func (a *apiServer) edit(path string, f func(object map[string]any)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	object := clone(a.objects[path])
	f(object)
	a.putLocked(path, object)
}

func (a *apiServer) happened(c change) {
	a.history = append(a.history, c)
	for w := range a.watchers {
		w.notify()
	}
}

func (w *watcher) notify() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// dropWatches ends all watches.
func (a *apiServer) dropWatches() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for w := range a.watchers {
		w.end = len(a.history)
		w.notify()
	}
}

// set changes how the server misbehaves.
func (a *apiServer) set(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

// count is how many requests began with the words of what.
func (a *apiServer) count(what string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, r := range a.requests {
		if strings.HasPrefix(r+" ", what+" ") {
			n++
		}
	}
	return n
}

// get returns an object; nil if there is none.
func (a *apiServer) get(path string) map[string]any {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.objects[path]
}

// list returns the objects under a path prefix that are of a resource, by path.
func (a *apiServer) list(resource string) []map[string]any {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []map[string]any
	for _, path := range slices.Sorted(maps.Keys(a.objects)) {
		if strings.Contains(path, "/"+resource+"/") {
			list = append(list, a.objects[path])
		}
	}
	return list
}

// ServeHTTP implements http.Handler.
func (a *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	query := r.URL.Query()
	prefix, resource, name := split(path)
	verb := map[string]string{"GET": "list", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[r.Method]
	switch {
	case query.Get("watch") != "":
		verb = "watch"
	case verb == "list" && name != "":
		verb = "get"
	}
	if field, ok := strings.CutPrefix(query.Get("fieldSelector"), "metadata.name="); ok {
		name = field
	}

	a.mu.Lock()
	a.requests = append(a.requests, strings.TrimSpace(verb+" "+resource+" "+name))
	refuse := a.refuse
	a.mu.Unlock()
	if refuse != nil {
		if code := refuse(verb, resource, name); code != 0 {
			fail(w, code, "Refused")
			return
		}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	selects := func(p string, object map[string]any) bool {
		ns := ""
		if _, rest, ok := strings.Cut(prefix, "/namespaces/"); ok {
			ns = rest
		}
		if !strings.Contains("/"+p, "/"+resource+"/") || ns != "" && at(object, "metadata", "namespace") != ns {
			return false
		}
		return matches(query.Get("fieldSelector"), query.Get("labelSelector"), object)
	}
	switch verb {
	case "list":
		a.serveList(w, r, selects)
	case "watch":
		a.serveWatch(w, r, selects)
	default:
		a.serveObject(w, r, verb, strings.TrimSuffix(path, "/status"), body)
	}
}

// split takes a request's path apart: what is before the resource, the resource, the name.
func split(path string) (prefix, resource, name string) {
	parts := strings.Split(strings.TrimSuffix(path, "/status"), "/")
	i := 2 // api/v1/RESOURCE
	if parts[0] == "apis" {
		i = 3
	}
	if len(parts) > i+1 && parts[i] == "namespaces" {
		i += 2
	}
	if len(parts) <= i {
		return path, "", ""
	}
	prefix, resource = strings.Join(parts[:i], "/"), parts[i]
	if len(parts) > i+1 {
		name = parts[i+1]
	}
	return prefix, resource, name
}

func matches(fieldSelector, labelSelector string, object map[string]any) bool {
	if key, value, ok := strings.Cut(fieldSelector, "="); ok {
		found := at(object, strings.Split(key, ".")...)
		if found != value {
			return false
		}
	}
	selector, err := labels.Parse(labelSelector)
	if err != nil {
		return false
	}
	set := make(labels.Set)
	of, _ := at(object, "metadata", "labels").(map[string]any)
	for key, value := range of {
		set[key], _ = value.(string)
	}
	return selector.Matches(set)
}

func (a *apiServer) serveList(w http.ResponseWriter, r *http.Request, selects func(string, map[string]any) bool) {
	a.mu.Lock()
	items := []any{}
	objects, known := a.stateLocked()
	for path, object := range objects {
		if selects(path, object) {
			items = append(items, object)
		}
	}
	version := strconv.Itoa(known)
	a.mu.Unlock()
	list := typed(r.URL.Path, "List")
	list["metadata"], list["items"] = map[string]any{"resourceVersion": version}, items
	answer(w, http.StatusOK, list)
}

func (a *apiServer) serveWatch(w http.ResponseWriter, r *http.Request, selects func(string, map[string]any) bool) {
	query := r.URL.Query()
	from, initial := query.Get("resourceVersion"), query.Get("sendInitialEvents") == "true"
	a.mu.Lock()
	if initial && a.noInitialEvents {
		a.mu.Unlock()
		fail(w, http.StatusUnprocessableEntity, "Invalid")
		return
	}
	watch := &watcher{selects: selects, wake: make(chan struct{}, 1), end: -1}
	var first []change
	resumed, _ := strconv.Atoi(from)
	objects, known := a.stateLocked()
	switch {
	case initial || from == "" || from == "0":
		for path, object := range objects {
			if selects(path, object) {
				first = append(first, change{0, "ADDED", path, object})
			}
		}
		watch.next = a.seenLocked()
	case a.repeats:
	case a.forgetful:
		a.mu.Unlock()
		fail(w, http.StatusGone, "Expired")
		return
	default:
		watch.next, _ = slices.BinarySearchFunc(a.history, resumed+1, func(c change, v int) int { return c.version - v })
	}
	version := strconv.Itoa(known)
	if watch.next < len(a.history) {
		watch.notify() // of what happened since the version that it goes on from
	}
	a.watchers[watch] = struct{}{}
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		delete(a.watchers, watch)
		a.mu.Unlock()
	}()

	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	out := json.NewEncoder(w)
	send := func(kind string, object any) { _ = out.Encode(map[string]any{"type": kind, "object": object}) }
	for _, c := range first {
		send(c.kind, c.object)
	}
	if initial {
		bookmark := typed(r.URL.Path, "")
		bookmark["metadata"] = map[string]any{"resourceVersion": version, "annotations": map[string]any{"k8s.io/initial-events-end": "true"}}
		send("BOOKMARK", bookmark)
	}
	for {
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-watch.wake:
		}
		a.mu.Lock()
		closed, until := watch.end >= 0, a.seenLocked()
		if closed {
			until = watch.end
		}
		until = max(until, watch.next)
		events := slices.Clone(a.history[watch.next:until])
		watch.next = until
		a.mu.Unlock()
		for _, c := range events {
			if selects(c.path, c.object) {
				send(c.kind, c.object)
			}
		}
		if closed {
			return
		}
	}
}

// typed is an object of the kind that a path is about, with a suffix to the kind.
func typed(path, suffix string) map[string]any {
	_, resource, _ := split(strings.TrimPrefix(path, "/"))
	for kind, g := range groups {
		if g[1] == resource {
			return map[string]any{"kind": kind + suffix, "apiVersion": strings.TrimPrefix(strings.TrimPrefix(g[0], "apis/"), "api/")}
		}
	}
	return map[string]any{}
}

func (a *apiServer) serveObject(w http.ResponseWriter, r *http.Request, verb, path string, body []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var sent map[string]any
	if len(body) > 0 {
		if err := json.Unmarshal(body, &sent); err != nil {
			fail(w, http.StatusBadRequest, "BadRequest")
			return
		}
	}
	if verb == "create" {
		path += "/" + at(sent, "metadata", "name").(string)
		if a.objects[path] != nil {
			fail(w, http.StatusConflict, "AlreadyExists")
			return
		}
		answer(w, http.StatusCreated, a.putLocked(path, sent))
		return
	}
	old := a.objects[path]
	if old == nil {
		fail(w, http.StatusNotFound, "NotFound")
		return
	}
	for _, version := range []any{at(sent, "metadata", "resourceVersion"), at(sent, "preconditions", "resourceVersion")} {
		if version != nil && version != at(old, "metadata", "resourceVersion") {
			fail(w, http.StatusConflict, "Conflict")
			return
		}
	}
	switch verb {
	case "get":
		answer(w, http.StatusOK, old)
	case "update":
		answer(w, http.StatusOK, a.putLocked(path, sent))
	case "delete":
		gone := clone(old)
		delete(a.objects, path)
		a.version++
		gone["metadata"].(map[string]any)["resourceVersion"] = strconv.Itoa(a.version)
		a.happened(change{a.version, "DELETED", path, gone})
		answer(w, http.StatusOK, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Success"})
	case "patch":
		object := mergePatch(clone(old), sent).(map[string]any)
		if manager := r.URL.Query().Get("fieldManager"); strings.HasSuffix(r.URL.Path, "/status") {
			// The list of addresses has one owner: who wrote it last.
			object["metadata"].(map[string]any)["managedFields"] = []any{map[string]any{"manager": manager, "operation": "Update", "subresource": "status"}}
		}
		answer(w, http.StatusOK, a.putLocked(path, object))
	}
}

// mergePatch is RFC 7386.
func mergePatch(target, patch any) any {
	p, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	t, ok := target.(map[string]any)
	if !ok {
		t = make(map[string]any)
	}
	for k, v := range p {
		if v == nil {
			delete(t, k)
		} else {
			t[k] = mergePatch(t[k], v)
		}
	}
	return t
}

func answer(w http.ResponseWriter, code int, object any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(object)
}

func fail(w http.ResponseWriter, code int, reason string) {
	if code == http.StatusForbidden {
		reason = "Forbidden"
	}
	answer(w, code, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code, "message": reason})
}

// at follows keys into an object; nil where there is nothing.
func at(object map[string]any, keys ...string) any {
	var v any = object
	for _, k := range keys {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[k]
	}
	return v
}

func clone(object map[string]any) map[string]any {
	b, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	var c map[string]any
	if err := json.Unmarshal(b, &c); err != nil {
		panic(err)
	}
	return c
}

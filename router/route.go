package router

import (
	"net/http"
	"strings"
	"time"
)

// PathType says how a Route's path is compared with a request's. The names and
// meanings of the first three are those of the Ingress v1 API.
type PathType uint8

const (
	// Exact matches the path itself, case-sensitively and with its trailing slash.
	Exact PathType = iota + 1
	// Prefix matches whole path elements: "/a" matches "/a", "/a/" and "/a/b", never "/ab".
	// A trailing slash of the route's path has no meaning.
	Prefix
	// ImplementationSpecific matches as Prefix does. It is kept apart because the API
	// regards two path types of one path as two routes; of equal paths it is tried last.
	ImplementationSpecific
	// Default is a host's default backend: it answers what no path of the host matches.
	// Without Host it answers for the hosts that have no routes. Path is ignored.
	Default
	// HostOnly makes a host exist without giving it any path: requests for it are
	// isolated from wildcard and hostless routes and match nothing. Path and Handler
	// are ignored, and it conflicts with nothing. Without Host it has no effect.
	HostOnly
	// Regexp matches as a Pattern does. Of several the longest is tried first, after Exact
	// and before the other types of the host.
	Regexp
)

func (t PathType) String() string {
	switch t {
	case Exact:
		return "Exact"
	case Prefix:
		return "Prefix"
	case ImplementationSpecific:
		return "ImplementationSpecific"
	case Default:
		return "Default"
	case HostOnly:
		return "HostOnly"
	case Regexp:
		return "Regexp"
	}
	return "PathType(?)"
}

// Origin is the object that asks for a Route. Between two Routes of the same host, path
// and path type the one whose Origin comes first is served.
type Origin struct {
	Namespace, Name string
	Created         time.Time // the zero time is the oldest
}

// String returns "namespace/name".
func (o Origin) String() string { return o.Namespace + "/" + o.Name }

// Compare orders origins by precedence: the older first, then by namespace, then by name.
// It is negative when o wins over p.
func (o Origin) Compare(p Origin) int {
	if c := o.Created.Compare(p.Created); c != 0 {
		return c
	}
	if c := strings.Compare(o.Namespace, p.Namespace); c != 0 {
		return c
	}
	return strings.Compare(o.Name, p.Name)
}

// Route is one entry of a Table. It must not change once it was given to Build; a Route
// that stays the same from one Table to the next should be the same pointer, so that Build
// can share the work.
type Route struct {
	// Host is an exact name, "*." and a name for one label in front of it, or "" for
	// every host that has no routes of its own. Build compares hosts without case.
	Host     string
	Path     string // starts with "/"; "" means "/"
	PathType PathType
	Origin   Origin
	// Target names what the Handler leads to, as "namespace/service:port". It is only shown.
	Target  string
	Handler http.Handler
}

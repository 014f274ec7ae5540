package router

import "strings"

// node is one path element of a host's tree. The root stands for "/". The tree of the
// paths Prefix "/api", Prefix "/api/v1" and Exact "/about/" is
//
//	""            node{}
//	├─ "api"      node{prefix: ...}
//	│  └─ "v1"    node{prefix: ...}
//	└─ "about"    node{exactSlash: ...}
//
// A lookup walks down the elements of the request's path for as long as there is a child,
// remembers the last prefix it passed, and needs the exact routes only of the node where
// the path ends. It never goes back.
type node struct {
	exact      *Route // the path ends here
	exactSlash *Route // the path ends here, with a slash
	prefix     *Route // the path ends here or goes on
	few        []child
	many       map[string]*node // replaces few from maxFew children on
}

type child struct {
	element string
	node    *node
}

// maxFew is where a map becomes faster than comparing the elements one by one.
const maxFew = 8

func (n *node) child(element string) *node {
	if n.many != nil {
		return n.many[element]
	}
	for i := range n.few {
		if n.few[i].element == element {
			return n.few[i].node
		}
	}
	return nil
}

func (n *node) addChild(element string, c *node) {
	if n.many != nil {
		n.many[element] = c
		return
	}
	if len(n.few) < maxFew {
		n.few = append(n.few, child{element, c})
		return
	}
	n.many = make(map[string]*node, 2*maxFew)
	for _, f := range n.few {
		n.many[f.element] = f.node
	}
	n.few = nil
	n.many[element] = c
}

// match returns the route of a canonical path, or nil.
func (n *node) match(path string) *Route {
	best := n.prefix
	rest := path[1:]
	for rest != "" {
		element, more := rest, false
		if i := strings.IndexByte(rest, '/'); i >= 0 {
			element, rest, more = rest[:i], rest[i+1:], true
		}
		n = n.child(element)
		if n == nil {
			return best
		}
		if n.prefix != nil {
			best = n.prefix
		}
		if !more {
			if n.exact != nil {
				return n.exact
			}
			return best
		}
	}
	if n.exactSlash != nil {
		return n.exactSlash
	}
	return best
}

// slab hands out the nodes of one host, many to an allocation.
type slab []node

func (s *slab) node() *node {
	if len(*s) == 0 {
		*s = make([]node, 4)
	}
	n := &(*s)[0]
	*s = (*s)[1:]
	return n
}

// add files a route under its canonical path. Of two routes with the same path, the one
// with the lower PathType must come first.
func (n *node) add(path string, r *Route, s *slab) {
	for element := range strings.SplitSeq(strings.TrimSuffix(path[1:], "/"), "/") {
		if element == "" {
			break // the root
		}
		c := n.child(element)
		if c == nil {
			c = s.node()
			n.addChild(element, c)
		}
		n = c
	}
	switch {
	case r.PathType == Exact && strings.HasSuffix(path, "/"):
		n.exactSlash = r
	case r.PathType == Exact:
		n.exact = r
	case n.prefix == nil:
		n.prefix = r
	}
}

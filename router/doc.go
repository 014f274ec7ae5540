// Package router decides which Route answers a request, from its host and its path.
//
// A Table is built whole from a set of Routes and never changes. It is a function of that
// set: neither the order of the Routes nor any Table before it has an influence. What
// follows is the specification of [Table.Lookup]. It implements the matching of the
// Kubernetes Ingress v1 API, and decides what that leaves open.
//
// # Hosts
//
// Hosts are compared in canonical form: in lower case, without port, without one trailing
// dot. See [CanonicalHost]. One of these is chosen, the first that has any route:
//
//	 	the route's Host     concerns
//	1	"shop.example"       that host
//	2	"*.example"          every host of one label in front of ".example": "a.example",
//	 	                     neither "example" nor "a.b.example"
//	3	""                   every host, also an address, also a request without host
//
// The choice is final, whatever the path: hosts are isolated. A host that has routes is
// never answered by a wildcard's routes or by hostless ones, not by their Default either.
// A HostOnly route is enough for that. A HostOnly route without host has no effect.
//
// A Host that no request can have ("*", "a..b", "a:80") matches nothing. An unknown PathType
// is treated as HostOnly.
//
// # Paths
//
// Among the routes of the chosen host, the first of these that exists answers:
//
//	1	Exact                    the route's path is the request's, with or without its
//	 	                         trailing slash as written
//	2	Regexp                   see [Pattern]; the longest is tried first
//	3	Prefix,                  the elements of the route's path are the first elements of
//	 	ImplementationSpecific   the request's; that with the most elements; of as many,
//	 	                         Prefix before ImplementationSpecific
//	4	Default                  the path plays no part
//
// Otherwise nothing answers. The elements of a path are what is between its slashes: "/a/b"
// and "/a/b/" have two, "/" has none. So the Prefix "/" matches every path, the Prefix "/a"
// matches "/a", "/a/" and "/a/b" but not "/ab", and the Prefix "/a/" is the same as "/a". The
// Exact "/a" does not match "/a/", nor the other way round. Case matters. The query is no
// part of the path. The target "*" has no path: only a Default matches it.
//
// # The canonical form of a path
//
// The paths of requests and routes are compared in the form that [CanonicalPath] returns:
//
//   - Slashes in a row are one slash. An empty path is "/".
//   - The elements "." and ".." are resolved, plain or escaped, after the slashes were
//     merged. Above the root ".." has no effect. A path that ends in one ends in a slash.
//   - An escape of a character that may stand in an element as it is (letters, digits and
//     -._~!$&'()*+,;=:@) is that character. This goes further than RFC 3986, which sees a
//     difference between "%3A" and ":", because nearly no server does: otherwise
//     "/things%3Adelete" would walk past the route that guards "/things:delete".
//   - Every other byte is an escape with upper-case digits, so that "/sp ace" in a route
//     meets "/sp%20ace" in a request. An encoded slash stays "%2F", part of its element.
//
// CanonicalPath refuses what is no path, and what servers are known to read as another path
// than they were asked for. A route's path is taken whatever it is: one without a leading
// slash is given it, and a "%" that starts no escape is a percent sign. If its canonical form
// is one that CanonicalPath refuses, it matches nothing.
//
// # Conflicts
//
// Two routes with the same host, PathType and canonical path (with or without the trailing
// slash, but for Exact) match the same requests. The one whose Origin comes first is served:
// the older, then the first by namespace and name; of one Origin, the first by Target. The
// others are not in the Table, and Build returns a [Conflict] for each. Two Default routes
// of a host conflict, and so do two without host. Two path types of one path are no
// conflict. When Origin and Target are the same as the winner's, the route is left out in
// silence: to write "/a" and "/a/" for one backend is a habit, not a mistake.
//
// # Example
//
//	shop.example  /         Prefix  a
//	shop.example  /cart     Prefix  b
//	shop.example  /cart     Exact   c
//	shop.example  /cart/x/  Exact   d
//	*.example     /         Prefix  e
//	*.example               Default f
//	(none)        /status   Prefix  g
//	(none)                  Default h
//
//	shop.example  /cart          c  Exact before Prefix
//	shop.example  /cart/         b  Exact has no slash here; the longest Prefix is "/cart"
//	shop.example  /carts         a  "carts" is not the element "cart"
//	shop.example  /cart/x/       d
//	shop.example  /cart/x        b
//	shop.example  //cart/./%63/  b  as "/cart/c/"
//	SHOP.example.:8080  /cart    c  as "shop.example"
//	www.example   /status        e  isolated from the hostless "/status"
//	a.b.example   /status        g  a wildcard is one label
//	a.b.example   /              h
//	www.example   *              f  OPTIONS *
package router

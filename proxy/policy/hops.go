package policy

import (
	"net/http"
	"strconv"
)

// HopsHeader counts the instances of Fairlead that a request went through. A configuration can
// lead in a circle, by an endpoint that is another replica, an ExternalName of a host that is
// served here, or an auth-url or mirror-target there; the count ends that. It also marks what came
// through the data plane.
const HopsHeader = "X-Fairlead-Hops"

// MaxHops is how many instances may stand behind one another, less one.
const MaxHops = 3

// Hops is the count in h; one that cannot be read counts as MaxHops.
func Hops(h http.Header) int {
	values := h[HopsHeader]
	if len(values) == 0 {
		return 0
	}
	n, err := strconv.ParseUint(values[0], 10, 8)
	if len(values) > 1 || err != nil {
		return MaxHops
	}
	return int(n)
}

// hop counts this instance in to, the header of a request that is made because of one with header
// from. False: there were too many, and whoever it is for would refuse it if it were one of us.
func hop(to, from http.Header) bool {
	n := Hops(from) + 1
	to[HopsHeader] = []string{strconv.Itoa(n)}
	return n < MaxHops
}

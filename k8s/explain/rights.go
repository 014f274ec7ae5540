package explain

import (
	"maps"
	"slices"
	"strings"
)

// rightsOf says which step tells of a right to a resource that the controller lacks.
var rightsOf = map[string]string{
	"ingresses": Class, "ingressclasses": Class, "services": Service, "endpointslices": Endpoints,
}

// right is what the controller may not do and must for a step. ok is false when it may
// everything, or when that is not known.
func (w *walk) right(step string) (f finding, ok bool) {
	var lacking []string
	for _, right := range w.around.Refused {
		if _, resource, _ := strings.Cut(right, " "); rightsOf[resource] == step {
			lacking = append(lacking, right)
		}
	}
	if len(lacking) == 0 {
		return finding{}, false
	}
	return broken("RightMissing", "the controller may not "+strings.Join(lacking, ", ")+": it knows none of them, or what they were once",
		w.grant(lacking[0])), true
}

// groups are the API groups of the resources of rights, for kubectl takes a bare "events" to be
// those of the core group. Services are of the core group.
var groups = map[string]string{
	"ingresses": ".networking.k8s.io", "ingressclasses": ".networking.k8s.io", "endpointslices": ".discovery.k8s.io", "events": ".events.k8s.io",
}

// grant is the remedy for a right, given as "verb resource" or "verb resource/subresource", that
// the controller lacks.
func (v *View) grant(right string) string {
	verb, resource, _ := strings.Cut(right, " ")
	resource, sub, _ := strings.Cut(resource, "/")
	resource += groups[resource]
	if sub != "" {
		resource += " --subresource=" + sub // "ingresses/status" is the Ingress with the name "status"
	}
	role, scope := "ClusterRole of deploy/base", "-A"
	if v.OnlyNamespace != "" {
		role, scope = "Role of deploy/overlays/namespaced", "-n "+v.OnlyNamespace
	}
	return "grant it with the " + role + ", and look: kubectl auth can-i " + verb + " " + resource + " " + scope + " --as " + v.Controller.Account(v.around.Pods)
}

// rights are the gaps that are not of one URL: what the controller may not write, and what
// could not be read for an explanation.
func (v *View) rights() (steps []Step) {
	for _, right := range v.around.Refused {
		_, resource, _ := strings.Cut(right, " ")
		step, reads := rightsOf[resource]
		look := v.grant(right)
		if reads {
			steps = append(steps, broken("RightMissing", "the controller may not "+right, look, right).step(step))
		} else {
			steps = append(steps, warn("RightMissing", "the controller may not "+right+": users are not told of mistakes and addresses there", look, right).step(Listener))
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(v.around.Unread)) {
		if v.Snapshot.Around == nil {
			break // nobody tried
		}
		step := Pods
		if kind == "NetworkPolicy" {
			step = NetworkPolicy
		}
		steps = append(steps, warn("SurroundingsNotRead", "objects of kind "+kind+" could not be read, what depends on them is left out: "+v.around.Unread[kind].Error(),
			"grant the right to list them to whoever asks: kubectl auth can-i --list", kind).step(step))
	}
	return steps
}

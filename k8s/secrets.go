package k8s

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// namedSecrets are the Secrets that Ingresses mention and that the watch on Secrets of type
// kubernetes.io/tls does not have, because they are of another type, are not there, or because that
// watch is not allowed.
type namedSecrets struct {
	named[*corev1.Secret]
	// passwords counts the Ingresses that want more of a Secret than a key pair.
	passwords map[types.NamespacedName]int
}

func (n *namedSecrets) init(c *Cluster) {
	n.passwords = make(map[types.NamespacedName]int)
	n.named = named[*corev1.Secret]{
		cluster: c, kind: "Secrets",
		client:   func(namespace string) namedClient[*corev1.Secret] { return c.o.Client.CoreV1().Secrets(namespace) },
		mirrored: func(name types.NamespacedName) bool { _, has := c.tls.objects[name]; return has },
		strip: func(s *corev1.Secret) {
			if n.passwords[keyOf(s)] == 0 {
				stripSecret(s)
			}
		},
		same:    sameSecret,
		changed: func() { c.stale.secrets = true },
	}
}

// mentionPasswords notes that an Ingress has its passwords in other Secrets than before. It
// comes before mention.
func (n *namedSecrets) mentionPasswords(before, now []types.NamespacedName) {
	for _, name := range now {
		if n.passwords[name]++; n.passwords[name] == 1 {
			n.forget(name) // it was read without them
		}
	}
	for _, name := range before {
		if n.passwords[name]--; n.passwords[name] == 0 {
			delete(n.passwords, name)
		}
	}
}

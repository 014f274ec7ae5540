package main

import (
	"context"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// needed are the rights that routing needs. Secrets are not among them: they may be granted by
// name, and one that may not be read is a Problem of its own.
var needed = []authorizationv1.ResourceAttributes{
	{Verb: "list", Group: "networking.k8s.io", Resource: "ingresses"},
	{Verb: "watch", Group: "networking.k8s.io", Resource: "ingresses"},
	{Verb: "list", Group: "networking.k8s.io", Resource: "ingressclasses"},
	{Verb: "list", Resource: "services"},
	{Verb: "watch", Resource: "services"},
	{Verb: "list", Group: "discovery.k8s.io", Resource: "endpointslices"},
	{Verb: "watch", Group: "discovery.k8s.io", Resource: "endpointslices"},
	{Verb: "patch", Group: "networking.k8s.io", Resource: "ingresses", Subresource: "status"},
	{Verb: "create", Group: "events.k8s.io", Resource: "events"},
}

// refusedTo asks which of the needed rights a user lacks, in a namespace or, if it is empty, in
// all; the user "" is the one who asks. It returns nil when that cannot be known.
func refusedTo(ctx context.Context, client kubernetes.Interface, user, namespace string) []string {
	refused := []string{}
	for _, right := range needed {
		if namespace != "" && right.Resource == "ingressclasses" {
			continue // they are the cluster's, and are done without
		}
		right.Namespace = namespace
		allowed, err := may(ctx, client, user, right)
		if err != nil {
			return nil
		}
		if !allowed {
			resource := right.Resource
			if right.Subresource != "" {
				resource += "/" + right.Subresource
			}
			refused = append(refused, right.Verb+" "+resource)
		}
	}
	return refused
}

func may(ctx context.Context, client kubernetes.Interface, user string, right authorizationv1.ResourceAttributes) (bool, error) {
	api, create := client.AuthorizationV1(), metav1.CreateOptions{}
	if user == "" {
		r, err := api.SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &right},
		}, create)
		if err != nil {
			return false, err
		}
		return r.Status.Allowed, nil
	}
	r, err := api.SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &right, Groups: []string{"system:serviceaccounts", "system:authenticated"}},
	}, create)
	if err != nil {
		return false, err
	}
	return r.Status.Allowed, nil
}

package ingress

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestManyMistakesOfOneObject: an annotation with 20,000 mistakes costs every change of everybody as
// little as one with a hundred, of which none is lost that says more than another.
func TestManyMistakesOfOneObject(t *testing.T) {
	var names strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&names, "_%d,", i)
	}
	class := "fairlead"
	ing := func(name string, annotations map[string]string) *netv1.Ingress {
		return &netv1.Ingress{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Annotations: annotations},
			Spec:       netv1.IngressSpec{IngressClassName: &class, Rules: []netv1.IngressRule{{Host: name + ".example"}}},
		}
	}
	s := &Snapshot{
		Classes: []*netv1.IngressClass{{ObjectMeta: metav1.ObjectMeta{Name: class}, Spec: netv1.IngressClassSpec{Controller: Controller}}},
		Ingresses: []*netv1.Ingress{
			ing("many", map[string]string{"fairlead.dev/server-alias": names.String(), "fairlead.dev/auth-type": "none"}),
			ing("one", map[string]string{"fairlead.dev/no-such-key": "x"}),
		},
	}
	of := make(map[string]int)
	guard, more := false, 0
	for _, p := range NewTranslator(Options{}).Translate(s).Problems {
		of[p.Object.Name]++
		guard = guard || strings.Contains(p.Field, "auth-type") && p.Severity == Error
		if strings.HasSuffix(p.Err.Error(), "(and more mistakes of this Ingress, which are not listed)") {
			more++
		}
	}
	if of["many"] != maxListed || of["one"] != 1 || !guard || more != 1 {
		t.Errorf("Problems %v, that of the guard: %t, that there are more: %d", of, guard, more)
	}
}

// TestManyAliases: no more are read than could be served.
func TestManyAliases(t *testing.T) {
	class := "fairlead"
	s := &Snapshot{
		Classes: []*netv1.IngressClass{{ObjectMeta: metav1.ObjectMeta{Name: class}, Spec: netv1.IngressClassSpec{Controller: Controller}}},
		Ingresses: []*netv1.Ingress{{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "many", Annotations: map[string]string{"fairlead.dev/server-alias": strings.Repeat("a.example,", maxAliasRules) + "b.example"}},
			Spec:       netv1.IngressSpec{IngressClassName: &class, Rules: []netv1.IngressRule{{Host: "many.example"}}},
		}},
	}
	told := 0
	for _, p := range NewTranslator(Options{}).Translate(s).Problems {
		if p.Reason == AliasNotServed && p.Err.Error() == "5001 aliases, want 5000 at most" {
			told++
		}
	}
	if told != 1 {
		t.Errorf("%d Problems tell of it", told)
	}
}

// TestListed: the errors of one object before its warnings, however many there are of either.
func TestListed(t *testing.T) {
	var problems []Problem
	for i := range 3 * maxListed {
		p := Problem{Object: Object{Kind: "Ingress", Name: "a"}, Err: fmt.Errorf("mistake %03d", i)}
		if i == 2*maxListed {
			p.Severity = Error
		}
		problems = append(problems, p, p)
	}
	other := Problem{Object: Object{Kind: "Ingress", Name: "b"}, Err: errors.New("x")}
	list := listedOfEach(append(problems, other))
	if len(list) != maxListed+1 || list[0] != other {
		t.Fatalf("%d Problems, want %d, and the other object's", len(list), maxListed+1)
	}
	if list[1].Severity != Error || list[2].Err.Error() != "mistake 000" || list[maxListed].Err.Error() != "mistake 098 (and more mistakes of this Ingress, which are not listed)" {
		t.Errorf("%v, %v ... %v", list[1].Err, list[2].Err, list[maxListed].Err)
	}
	if again := listedOfEach(list); len(again) != len(list) {
		t.Errorf("%d Problems of what was listed", len(again))
	}
}

package explain

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/fairlead-ingress/fairlead/proxy/policy"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// podReport is what was found out about the Pods behind the Service.
type podReport struct {
	selector map[string]string
	selected []*corev1.Pod // in order of their names
	ailing   []ailment
	unknown  int // selected Pods without a status
}

// ailment is why a Pod is not ready.
type ailment struct {
	pod    *corev1.Pod
	reason Reason
	text   string
}

func podName(p *corev1.Pod) string { return "Pod " + p.Namespace + "/" + p.Name }

func (w *walk) lookAtPods() podReport {
	var r podReport
	if w.service == nil || len(w.service.Spec.Selector) == 0 || w.service.Spec.Type == corev1.ServiceTypeExternalName {
		return r
	}
	r.selector = w.service.Spec.Selector
	selector := labels.SelectorFromSet(r.selector)
	for _, p := range w.pods[w.key.Namespace] {
		if selector.Matches(labels.Set(p.Labels)) {
			r.selected = append(r.selected, p)
		}
	}
	slices.SortFunc(r.selected, func(a, b *corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	for _, p := range r.selected {
		switch reason, text := diagnose(p); reason {
		case "":
		case "PodStatusUnknown":
			r.unknown++
		default:
			r.ailing = append(r.ailing, ailment{p, reason, podName(p) + ": " + text})
		}
	}
	return r
}

// diagnose says why a Pod is not ready; "" when it is.
func diagnose(p *corev1.Pod) (Reason, string) {
	s := &p.Status
	switch {
	case p.DeletionTimestamp != nil:
		return "PodTerminating", "it is being deleted"
	case s.Phase == corev1.PodFailed || s.Phase == corev1.PodSucceeded:
		return "PodFailed", strings.TrimSpace("it has ended: " + orElse(s.Reason, string(s.Phase)) + " " + s.Message)
	case s.Phase == "" && len(s.Conditions) == 0 && len(s.ContainerStatuses) == 0:
		return "PodStatusUnknown", "it has no status"
	}
	if c := condition(p, corev1.PodScheduled); c != nil && c.Status == corev1.ConditionFalse {
		return "Unschedulable", strings.TrimSpace(orElse(c.Reason, "Unschedulable") + ": " + c.Message)
	}
	for _, c := range s.InitContainerStatuses {
		if reason, text := containerState(&c); reason != "" {
			return "InitContainerFailed", "init container " + text
		}
	}
	for _, c := range s.ContainerStatuses {
		if reason, text := containerState(&c); reason != "" {
			return reason, "container " + text
		}
	}
	ready := condition(p, corev1.PodReady)
	if ready != nil && ready.Status == corev1.ConditionTrue {
		return "", ""
	}
	for _, c := range s.ContainerStatuses {
		i := slices.IndexFunc(p.Spec.Containers, func(spec corev1.Container) bool { return spec.Name == c.Name })
		if !c.Ready && c.State.Running != nil && i >= 0 && p.Spec.Containers[i].ReadinessProbe != nil {
			return "ReadinessProbeFailing", "container " + c.Name + " runs and its readiness probe fails" + probeText(p.Spec.Containers[i].ReadinessProbe)
		}
	}
	for _, gate := range p.Spec.ReadinessGates {
		if c := condition(p, gate.ConditionType); c == nil || c.Status != corev1.ConditionTrue {
			return "PodNotReady", "its readiness gate " + string(gate.ConditionType) + " is not true"
		}
	}
	if s.Phase == corev1.PodPending {
		return "PodPending", strings.TrimSpace("it has not started " + s.Message)
	}
	if ready == nil && s.Phase == corev1.PodRunning {
		return "", ""
	}
	text := "it is not ready"
	if ready != nil && ready.Message != "" {
		text += ": " + ready.Message
	}
	return "PodNotReady", text
}

func containerState(c *corev1.ContainerStatus) (Reason, string) {
	switch {
	case c.State.Waiting != nil && c.State.Waiting.Reason != "PodInitializing":
		text := c.Name + " waits: " + c.State.Waiting.Reason
		if c.State.Waiting.Message != "" {
			text += ": " + c.State.Waiting.Message
		}
		if last := c.LastTerminationState.Terminated; last != nil {
			text += fmt.Sprintf("; it last ended with %s (exit code %d)", orElse(last.Reason, "no reason"), last.ExitCode)
		}
		switch c.State.Waiting.Reason {
		case "CrashLoopBackOff":
			return "CrashLoopBackOff", text
		case "ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError":
			return "ImagePullBackOff", text
		}
		return "ContainerWaiting", text
	case c.State.Terminated != nil && c.State.Terminated.ExitCode != 0:
		return "ContainerFailed", fmt.Sprintf("%s ended with %s (exit code %d)", c.Name, orElse(c.State.Terminated.Reason, "no reason"), c.State.Terminated.ExitCode)
	}
	return "", ""
}

func probeText(p *corev1.Probe) string {
	switch {
	case p.HTTPGet != nil:
		return " (GET " + p.HTTPGet.Path + " on port " + p.HTTPGet.Port.String() + ")"
	case p.TCPSocket != nil:
		return " (connection to port " + p.TCPSocket.Port.String() + ")"
	}
	return ""
}

func condition(p *corev1.Pod, t corev1.PodConditionType) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == t {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// podsStep says how the Pods behind the Service are.
func (w *walk) podsStep() finding {
	switch {
	case w.service == nil || w.service.Spec.Type == corev1.ServiceTypeExternalName || !w.hasPort && len(w.service.Spec.Ports) > 0:
		return skip("NoBackend", "there is no Service with Pods to look at")
	case len(w.service.Spec.Selector) == 0:
		return skip("NoSelector", w.serviceName()+" has no selector: its endpoints are written by hand", w.serviceName())
	case w.around.Unread["Pod"] != nil:
		return skip("PodsNotRead", "Pods could not be read: "+w.around.Unread["Pod"].Error())
	}
	empty := len(w.to.Addresses) == 0
	r := &w.report
	if len(r.selected) == 0 {
		if !empty && len(w.pods[w.key.Namespace]) == 0 {
			return skip("PodsUnknown", "no Pods are known in namespace "+w.key.Namespace)
		}
		f := w.selectsNothing()
		if !empty {
			f.verdict = Warning
		}
		return f
	}
	list := []finding{w.targetPort()}
	if len(r.ailing) > 0 {
		list = append(list, w.ailingPods())
	}
	f := worst(list...)
	if f.verdict == Warning && empty && f.reason != "TargetPortUndeclared" {
		f.verdict = Broken
	}
	return f
}

func (w *walk) ailingPods() finding {
	r := &w.report
	lines, objects := make([]string, len(r.ailing)), make([]string, len(r.ailing))
	for i, a := range r.ailing {
		lines[i], objects[i] = a.text, podName(a.pod)
	}
	first := r.ailing[0]
	look := "see why: " + kubectl(first.pod.Namespace, "describe pod "+first.pod.Name)
	if first.reason == "CrashLoopBackOff" || first.reason == "ContainerFailed" {
		look = "see what it said last: " + kubectl(first.pod.Namespace, "logs "+first.pod.Name+" --previous")
	}
	return warn(first.reason, strings.Join(some(lines, 5), "; "), look, objects...)
}

// selectsNothing says which Pods have nearly the labels that the Service selects.
func (w *walk) selectsNothing() finding {
	ns, selector := w.key.Namespace, w.report.selector
	detail := fmt.Sprintf("%s selects %s, and no Pod in namespace %s has these labels", w.serviceName(), labels.Set(selector), ns)
	objects := []string{w.serviceName()}
	remedy := "correct spec.selector or the Pods' labels: " + kubectl(ns, "get pods --show-labels")
	var best *corev1.Pod
	most, least := 0, 0
	for _, p := range w.pods[ns] {
		same, away := 0, 0
		for k, v := range selector {
			if p.Labels[k] == v {
				same += 2
			} else if p.Labels[k] != "" {
				same++
				away += policy.Distance(p.Labels[k], v)
			}
		}
		if same > most || same == most && same > 0 && away < least {
			best, most, least = p, same, away
		}
	}
	if best != nil {
		var wrong []string
		for _, k := range slices.Sorted(maps.Keys(selector)) {
			if has, ok := best.Labels[k]; !ok {
				wrong = append(wrong, k+" is missing")
			} else if has != selector[k] {
				wrong = append(wrong, k+"="+has+" where "+selector[k]+" is selected")
			}
		}
		detail += "; nearest is " + podName(best) + ": " + strings.Join(wrong, ", ")
		objects = append(objects, podName(best))
	}
	for _, p := range w.around.Pods {
		if p.Namespace != ns && labels.SelectorFromSet(selector).Matches(labels.Set(p.Labels)) {
			detail += "; " + podName(p) + " has them, in another namespace"
			objects = append(objects, podName(p))
			break
		}
	}
	return broken("SelectorMatchesNothing", detail, remedy, objects...)
}

// targetPort compares the Service's targetPort with what the containers declare.
func (w *walk) targetPort() finding {
	target := w.port.TargetPort
	var without []string
	declared := map[string]bool{}
	for _, p := range w.report.selected {
		has, any := false, false
		for _, c := range p.Spec.Containers {
			for _, cp := range c.Ports {
				any = true
				declared[strings.TrimSpace(strconv.Itoa(int(cp.ContainerPort))+" "+cp.Name)] = true
				has = has || target.StrVal != "" && cp.Name == target.StrVal || target.StrVal == "" && cp.ContainerPort == w.targetNumber()
			}
		}
		if !has && (any || target.StrVal != "") {
			without = append(without, podName(p))
		}
	}
	names := strings.Join(slices.Sorted(maps.Keys(declared)), ", ")
	edit := kubectl(w.key.Namespace, "edit service "+w.key.Service)
	switch {
	case len(without) > 0 && target.StrVal != "":
		return warn("TargetPortNotFound", fmt.Sprintf("targetPort %s of %s is the name of no container port of %s, which have %q", target.StrVal, w.serviceName(), strings.Join(some(without, 3), ", "), names),
			"correct the targetPort, or name the container's port: "+edit, append(without, w.serviceName())...)
	case len(without) > 0:
		return warn("TargetPortUndeclared", fmt.Sprintf("targetPort %d of %s is declared by no container of %s, which declare %s", w.targetNumber(), w.serviceName(), strings.Join(some(without, 3), ", "), names),
			"see whether something listens there, else correct the targetPort: "+edit, append(without, w.serviceName())...)
	case w.report.unknown == len(w.report.selected):
		return fine("PodStatusUnknown", plural(w.report.unknown, "Pod")+" match; nothing is known of their state", w.serviceName())
	}
	return fine("PodsReady", plural(len(w.report.selected)-len(w.report.ailing), "Pod")+" of "+strconv.Itoa(len(w.report.selected))+" are ready", w.serviceName())
}

// targetNumber is the port of the Pods when it is a number.
func (w *walk) targetNumber() int32 {
	if n := w.port.TargetPort.IntVal; n != 0 {
		return n
	}
	return w.port.Port
}

// Package observe makes the metrics and the access log from finished exchanges: both from the
// same record, so they cannot disagree.
//
// Labels come from the routing table alone. Nothing that a client sends (host, path, method)
// becomes a label, so no client can make series.
package observe

import "github.com/fairlead-ingress/fairlead/proxy"

// Observer gives every exchange to the metrics and to the access log. Both may be nil. It is
// a proxy.Observer.
type Observer struct {
	Metrics *Metrics
	Log     *AccessLog
}

// Route returns the recorder of a rule; nil stands for what no rule matches.
func (o Observer) Route(rule *proxy.Rule) proxy.Recorder {
	switch {
	case o.Metrics == nil && o.Log == nil:
		return nil
	case o.Log == nil:
		return o.Metrics.Route(rule)
	case o.Metrics == nil:
		return o.Log.Route(rule)
	}
	count, log := o.Metrics.Route(rule), o.Log.Route(rule)
	if log == nil {
		return count
	}
	return func(x *proxy.Exchange) {
		count(x)
		log(x)
	}
}

var _ proxy.Observer = Observer{}

package ingress

import (
	"maps"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
)

// settings is what the controller's ConfigMap comes to, with the ConfigMaps that it names. It
// does not change; while what it was made of stays the same, so does its pointer.
type settings struct {
	uid      types.UID // of the ConfigMap; its Problems are of that object
	config   map[string]string
	global   policy.Global
	problems []Problem
	// unmatched is of requests that no rule matches; nil for none.
	unmatched *policy.Set
	// from are the data of all ConfigMaps that were looked at, nil for those that there are
	// not.
	from map[types.NamespacedName]map[string]string
}

// readSettings returns last if it would come to the same.
func readSettings(o *Options, s *Snapshot, last *settings) *settings {
	if o.ConfigMap.Name == "" {
		if last != nil {
			return last
		}
		made := &settings{}
		made.parseDefault(o)
		return made
	}
	var uid types.UID
	if c := s.ConfigMaps[o.ConfigMap]; c != nil {
		uid = c.UID
	}
	if last != nil {
		same := last.uid == uid
		for name, data := range last.from {
			same = same && reflect.DeepEqual(data, configData(s.ConfigMaps[name]))
		}
		if same {
			return last
		}
	}
	made := &settings{uid: uid, from: make(map[types.NamespacedName]map[string]string)}
	look := func(namespace, name string) map[string]string {
		at := types.NamespacedName{Namespace: namespace, Name: name}
		made.from[at] = configData(s.ConfigMaps[at])
		return made.from[at]
	}
	object := Object{Kind: "ConfigMap", Namespace: o.ConfigMap.Namespace, Name: o.ConfigMap.Name}
	made.config = look(o.ConfigMap.Namespace, o.ConfigMap.Name)
	if made.config == nil {
		f := found(ConfigMapNotFound, "ConfigMap %s, which --configmap names, not found: every setting has its default", o.ConfigMap)
		made.problems = []Problem{f.on(object, "")}
		made.parseDefault(o)
		return made
	}
	object.UID = uid
	var findings []policy.Finding
	made.global, findings = policy.ParseConfig(made.config, look)
	for _, f := range findings {
		made.problems = append(made.problems, finding{settingReason(f.Outcome), f.Err}.on(object, "data["+f.Setting+"]"))
	}
	made.parseDefault(o)
	return made
}

// parseDefault completes s.
func (s *settings) parseDefault(o *Options) {
	s.unmatched = policy.ParseDefault(policy.Input{Profile: o.profile(), Quirks: o.Quirks, Config: s.config, Refused: s.global.Refused})
}

// configData is not nil for a ConfigMap that there is.
func configData(c *corev1.ConfigMap) map[string]string {
	if c == nil {
		return nil
	}
	if c.Data == nil {
		return map[string]string{}
	}
	return c.Data
}

// lookUp returns the data of a ConfigMap that the settings name. All of them were looked at when
// the settings were read.
func (s *settings) lookUp(namespace, name string) map[string]string {
	return maps.Clone(s.from[types.NamespacedName{Namespace: namespace, Name: name}])
}

func settingReason(o policy.Outcome) Reason {
	switch o {
	case policy.LeftOut:
		return SettingUnsupported
	case policy.NoEffect:
		return SettingNoEffect
	case policy.Unknown:
		return SettingUnknown
	case policy.Invalid:
		return SettingInvalid
	}
	return SettingRefused
}

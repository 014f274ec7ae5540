package policy

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Field is a header field with its value, which may have variables in it.
type Field struct {
	Name  string // canonical
	Value Template
}

// Fields are what is done to the fields of a rule's messages.
type Fields struct {
	Set  []Field  // of the request that the backend gets; an empty value removes the client's
	Add  []Field  // of every response, in place of the backend's; of several with a name the last
	Hide []string // of responses, sorted
}

var (
	addHeaders = Key{
		Name: "add-headers", GlobalOnly: true, Value: "namespace/name of a ConfigMap", Doc: "the entries of that ConfigMap, of the same namespace as this one, " +
			"are set as fields of every response, in place of the backend's",
	}
	setHeaders = Key{
		Name: "proxy-set-headers", GlobalOnly: true, Value: "namespace/name of a ConfigMap", Doc: "the entries of that ConfigMap, of the same namespace as this one, " +
			"are set as fields of every request for a backend; variables are those of annotations, and an empty value removes the field, as one that is not valid does",
	}
	customHeaders = Key{
		Name: "custom-headers", Class: Routing, Value: "name of a ConfigMap of the namespace", Doc: "its entries are set as fields of every response, in place of the backend's; " +
			"the ConfigMap key global-allowed-response-headers must name each",
	}
	allowedHeaders = Key{Name: "global-allowed-response-headers", GlobalOnly: true, Value: "field names, separated by commas", Doc: "the fields that custom-headers may set"}
	hideHeaders    = Key{Name: "hide-headers", GlobalOnly: true, Value: "field names, separated by commas", Doc: "fields of backends' responses that clients do not get"}
)

var fields = feature{
	name: "fields",
	keys: []Key{addHeaders, setHeaders, customHeaders, allowedHeaders, hideHeaders},
	read: func(r *reader, s *Set) {
		f := Fields{Add: r.fieldsOf(addHeaders), Set: r.fieldsOf(setHeaders)}
		allowed := r.list(allowedHeaders)
		for _, field := range r.fieldsOf(customHeaders) {
			if !slices.ContainsFunc(allowed, func(name string) bool { return strings.EqualFold(name, field.Name) }) {
				r.bad(customHeaders, "%s is none of the fields that global-allowed-response-headers of the controller's ConfigMap allows", field.Name)
			}
			f.Add = append(f.Add, field)
		}
		for _, name := range r.list(hideHeaders) {
			if !httpguts.ValidHeaderFieldName(name) || ours(name) {
				r.bad(hideHeaders, "want names of fields that may be hidden, got %.80q", name)
				continue
			}
			f.Hide = append(f.Hide, http.CanonicalHeaderKey(name))
		}
		slices.Sort(f.Hide)
		if f.Hide = slices.Compact(f.Hide); len(f.Add)+len(f.Set)+len(f.Hide) > 0 {
			s.Fields = &f
		}
	},
	wrap: func(l link, next http.Handler) http.Handler {
		f := l.Fields
		if f == nil {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			x := exchangeOf(w)
			for _, field := range f.Set {
				x.SendField(field.Name, oneLine(field.Value.expand(w, r, &l.rule, nil, nil)))
			}
			if len(f.Add)+len(f.Hide) > 0 {
				values := make([]string, len(f.Add))
				for i, field := range f.Add {
					values[i] = oneLine(field.Value.expand(w, r, &l.rule, nil, nil))
				}
				w = changeHead(w, fieldsChange{f, values})
			}
			next.ServeHTTP(w, r)
		})
	},
}

// ours reports whether a field frames a message or is of one connection, so that setting it would
// make something else of the message.
func ours(name string) bool {
	switch name = http.CanonicalHeaderKey(name); name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length", "Content-Encoding", "Expect":
		return true
	}
	return strings.HasPrefix(name, "X-Fairlead-")
}

// fieldsOf reads the ConfigMap that a key names. Entries that are not as they must be are left out, but for
// those of fields for the backend whose value alone is not: they remove the field.
func (r *reader) fieldsOf(k Key) []Field {
	v, ok := r.text(k)
	if !ok {
		return nil
	}
	entries := r.configMapOf(k, v)
	var list []Field
	for _, entry := range slices.Sorted(maps.Keys(entries)) {
		f, err := newField(entry, entries[entry])
		if err != nil {
			r.bad(k, "entry %s of ConfigMap %s: %w", entry, v, err)
			if k.Name != setHeaders.Name || !httpguts.ValidHeaderFieldName(entry) || ours(entry) {
				continue
			}
			f = Field{Name: http.CanonicalHeaderKey(entry)} // nobody says it, clients least of all
		}
		list = append(list, f)
	}
	return list
}

// ConfigMaps returns the names of the ConfigMaps of its own namespace that the annotations of an
// Ingress name.
func ConfigMaps(namespace string, annotations map[string]string) []string {
	var names []string
	for _, k := range [...]Key{ownAuthKeys.send, customHeaders} {
		value, ok := annotations[Prefix+k.Name]
		if !ok {
			value = annotations[NginxPrefix+k.Name]
		}
		ns, name, qualified := strings.Cut(strings.TrimSpace(value), "/")
		if !qualified {
			ns, name = namespace, ns
		}
		if ns == namespace && name != "" {
			names = append(names, name)
		}
	}
	return names
}

// configMapOf returns the data of the ConfigMap that a value names. Annotations name those of the
// Ingress's own namespace alone: what others keep there is not for it.
func (r *reader) configMapOf(k Key, v string) map[string]string {
	namespace, name, qualified := strings.Cut(v, "/")
	if !qualified && !k.GlobalOnly {
		namespace, name = r.Namespace, v
	}
	if namespace == "" || name == "" {
		r.bad(k, "want namespace/name, got %.80q", v)
		return nil
	}
	var entries map[string]string
	switch {
	case k.GlobalOnly:
		if entries = r.ConfigMap(namespace, name); entries == nil {
			r.bad(k, "ConfigMap %s is not in the namespace of the controller's ConfigMap", v)
		}
	case namespace != r.Namespace:
		r.bad(k, "ConfigMap %s is not in the namespace of the Ingress", v)
	default:
		if entries = r.OwnConfigMap(name); entries == nil {
			r.bad(k, "ConfigMap %s/%s not found", namespace, name)
		}
	}
	return entries
}

func newField(name, value string) (Field, error) {
	if !httpguts.ValidHeaderFieldName(name) {
		return Field{}, errors.New("want the name of a field")
	}
	if ours(name) {
		return Field{}, errors.New("a field that is of one connection or frames the message")
	}
	t, err := parseTemplate(value, nil)
	if err != nil {
		return Field{}, err
	}
	if !httpguts.ValidHeaderFieldValue(value) {
		return Field{}, fmt.Errorf("want one line, got %.80q", value)
	}
	return Field{http.CanonicalHeaderKey(name), t}, nil
}

// oneLine is what of a value may stand in a field: variables are what clients wrote.
func oneLine(value string) string {
	if httpguts.ValidHeaderFieldValue(value) {
		return value
	}
	return ""
}

// fieldsChange is what fields say of a response.
type fieldsChange struct {
	fields *Fields
	values []string // of fields.Add; the request changes as it is forwarded
}

func (c fieldsChange) apply(_ int, h http.Header) {
	for _, name := range c.fields.Hide {
		delete(h, name)
	}
	for i, f := range c.fields.Add {
		if value := c.values[i]; value != "" {
			h[f.Name] = []string{value}
		} else {
			delete(h, f.Name)
		}
	}
}

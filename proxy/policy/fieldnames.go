package policy

import "net/http"

// FieldNames says which fields of a request are dropped for their names, before anything looks at
// them. Backends that fold such a name to another would take what a client says there for what we
// say. The zero value drops none.
type FieldNames struct {
	Underscores bool // names with an underscore
	Others      bool // names with anything but letters, digits, hyphens and underscores
}

var (
	underscores = Key{
		Name: "enable-underscores-in-headers", GlobalOnly: true, Value: "true or false", Default: "false",
		Doc: "keeps request fields with an underscore in their name, which ignore-invalid-headers drops otherwise",
	}
	ignoreInvalid = Key{
		Name: "ignore-invalid-headers", GlobalOnly: true, Value: "true or false", Default: "true", SpecDefault: "false",
		Doc: "drops request fields whose name has other characters than letters, digits and hyphens; what HTTP does not allow in a name is refused in any case",
	}
)

// fieldNames is no handler: whoever has the rule asks it first.
var fieldNames = feature{
	name: "names of fields",
	keys: []Key{underscores, ignoreInvalid},
	read: func(r *reader, s *Set) {
		keep := r.boolean(underscores, false)
		ignore, said := r.given(ignoreInvalid)
		if !said {
			ignore = r.byQuirk(QuirkFieldNames)
		}
		s.FieldNames = FieldNames{Underscores: ignore && !keep, Others: ignore}
	},
}

// Clean deletes from the header of a request the fields that are dropped, and reports whether there
// were any.
func (n FieldNames) Clean(h http.Header) (dropped bool) {
	if n == (FieldNames{}) {
		return false
	}
	for name := range h {
		i := 0
		for i < len(name) && plainName[name[i]] {
			i++
		}
		for ; i < len(name); i++ {
			if c := name[i]; c == '_' && n.Underscores || c != '_' && n.Others && !plainName[c] {
				delete(h, name)
				dropped = true
				break
			}
		}
	}
	return dropped
}

// plainName has the characters of the names that are never dropped.
var plainName = func() (plain [256]bool) {
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-" {
		plain[c] = true
	}
	return plain
}()

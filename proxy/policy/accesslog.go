package policy

var accessLogKey = Key{
	Name: "enable-access-log", Value: "true or false", Default: "true",
	Doc: "whether requests for the rules are written to the access log; metrics count them all the same",
}

// accessLog is no handler: whether there is a line is of the rule and not of its requests.
var accessLog = feature{
	name: "access log",
	keys: []Key{accessLogKey},
	read: func(r *reader, s *Set) { s.NotLogged = !r.boolean(accessLogKey, true) },
}

package proxy_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/router"
)

// costedRoute is a rule as its annotations make it, with what a request for it needs.
type costedRoute struct {
	name        string
	profile     policy.Profile
	annotations map[string]string
	fields      string
	pathType    router.PathType
	path        string
	// most is how many allocations a request may cost; docs/request.md says so.
	most float64
}

var costedRoutes = []costedRoute{
	{name: "plain", most: 3},
	{name: "ingress-nginx without annotations", profile: policy.Nginx, most: 3},
	{
		name: "five policies", most: 9,
		annotations: map[string]string{
			"enable-cors": "true", "limit-rps": "1000000", "allowlist-source-range": "127.0.0.0/8",
			"rewrite-target": "/$1", "proxy-read-timeout": "30",
		},
		fields: "Origin: https://app.example\r\n", pathType: router.Regexp, path: "/(.*)",
	},
	{
		name: "basic authentication", most: 3,
		annotations: map[string]string{"auth-type": "basic", "auth-secret": "users"},
		fields:      "Authorization: Basic ZGF2ZTpzaGExcHc=\r\n",
	},
}

func (c costedRoute) once(tb testing.TB) func() {
	tb.Helper()
	in := policy.Input{Profile: c.profile, Namespace: "default", Annotations: map[string]string{}, Secret: func(string, string) map[string][]byte {
		return map[string][]byte{"auth": []byte("dave:{SHA}hWK/nKq6ApDFwwVB9GNyLi7WBzM=\n")}
	}}
	for k, v := range c.annotations {
		in.Annotations[policy.Prefix+k] = v
	}
	set, findings := policy.Parse(in)
	if len(findings) > 0 {
		tb.Fatal(findings)
	}
	set.SSLRedirect = nil // of hosts with TLS
	return proxiedBy(tb, func(rule *proxy.Rule) {
		if len(in.Annotations) > 0 || c.profile == policy.Nginx {
			rule.Policies = &set
		}
		if c.path != "" {
			rule.Path, rule.PathType = c.path, c.pathType
		}
	}, c.fields)
}

// BenchmarkPolicies is a proxied request over loopback, client and backend included, by what its
// route has.
func BenchmarkPolicies(b *testing.B) {
	for _, c := range costedRoutes {
		b.Run(c.name, func(b *testing.B) {
			once := c.once(b)
			once()
			b.ReportAllocs()
			before := cpuTime(b)
			for b.Loop() {
				once()
			}
			b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

// cpuTime is what the process has used of its processors: steadier than time where others run too.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

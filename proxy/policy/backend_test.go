package policy

import (
	"math"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

func TestBackend(t *testing.T) {
	force := func(p upstream.Protocol) Backend { return Backend{Protocol: upstream.Forced{Set: true, Protocol: p}} }
	for _, c := range []struct {
		annotations, config map[string]string
		want                Backend
		findings            int
		unroutable          bool
	}{
		{},
		{annotations: map[string]string{"backend-protocol": ""}},
		{annotations: map[string]string{"backend-protocol": "HTTP"}, want: force(upstream.HTTP)},
		{annotations: map[string]string{"backend-protocol": " Https "}, want: force(upstream.HTTPS1)},
		{annotations: map[string]string{"backend-protocol": "GRPC"}, want: force(upstream.H2C)},
		{annotations: map[string]string{"backend-protocol": "grpcs"}, want: force(upstream.H2)},
		{annotations: map[string]string{"backend-protocol": "AUTO_HTTP"}, want: Backend{Auto: true}},
		{annotations: map[string]string{"backend-protocol": "http;"}, findings: 1},
		{annotations: map[string]string{"backend-protocol": "FCGI"}, findings: 1, unroutable: true},
		{annotations: map[string]string{"service-upstream": "true"}, want: Backend{Cluster: true}},
		{config: map[string]string{"service-upstream": "true"}, want: Backend{Cluster: true}},
		{annotations: map[string]string{"service-upstream": "false"}, config: map[string]string{"service-upstream": "true"}},
		{annotations: map[string]string{"service-upstream": "si"}, findings: 1},
		{config: map[string]string{"backend-protocol": "HTTPS"}}, // it is no key of the ConfigMap
	} {
		s, findings := parsed(c.annotations, c.config)
		if s.Backend != c.want || len(findings) != c.findings || s.Unroutable != c.unroutable {
			t.Errorf("%v, %v: got %+v, unroutable %t, %v", c.annotations, c.config, s.Backend, s.Unroutable, findings)
		}
	}
}

func TestBackendKeys(t *testing.T) {
	k := upstream.Key{Namespace: "shop", Service: "cart", Port: "80"}
	if key, secure := (Backend{}).Keys(k); key != k || secure != k {
		t.Errorf("nothing asked for: got %+v, %+v", key, secure)
	}
	key, secure := Backend{Auto: true, Cluster: true}.Keys(k)
	if key.Protocol.Or(upstream.H2C) != upstream.HTTP || secure.Protocol.Or(upstream.H2C) != upstream.HTTPS1 || !key.Cluster || !secure.Cluster {
		t.Errorf("AUTO_HTTP: got %+v, %+v", key, secure)
	}
}

func TestTimeouts(t *testing.T) {
	for _, c := range []struct {
		annotations, config map[string]string
		want                Timeouts
		findings            int
	}{
		{want: Timeouts{Connect: 5 * time.Second}},
		{
			annotations: map[string]string{"proxy-connect-timeout": "1", "proxy-send-timeout": "3600", "proxy-read-timeout": " 2147483647 "},
			want:        Timeouts{time.Second, time.Hour, math.MaxInt32 * time.Second},
		},
		{config: map[string]string{"proxy-read-timeout": "7"}, want: Timeouts{Connect: 5 * time.Second, Read: 7 * time.Second}},
		{
			annotations: map[string]string{"proxy-read-timeout": "-1"}, config: map[string]string{"proxy-read-timeout": "7"},
			want: Timeouts{Connect: 5 * time.Second, Read: 7 * time.Second}, findings: 1,
		},
		{
			annotations: map[string]string{"proxy-connect-timeout": "0", "proxy-send-timeout": "1.5", "proxy-read-timeout": "99999999999"},
			want:        Timeouts{Connect: 5 * time.Second}, findings: 3,
		},
	} {
		s, findings := parsed(c.annotations, c.config)
		if s.Timeouts != c.want || len(findings) != c.findings {
			t.Errorf("%v, %v: got %+v, %v", c.annotations, c.config, s.Timeouts, findings)
		}
	}
	if s, _ := Parse(Input{Profile: Spec}); s.Timeouts != (Timeouts{}) {
		t.Errorf("want the spec profile to leave all to the pool, got %+v", s.Timeouts)
	}
}

// parsed parses annotations without their prefix in the profile of ingress-nginx.
func parsed(annotations, config map[string]string) (Set, []Finding) {
	full := make(map[string]string, len(annotations))
	for k, v := range annotations {
		full[NginxPrefix+k] = v
	}
	return Parse(Input{Annotations: full, Config: config, Profile: Nginx})
}

package policy

import "testing"

func TestBufferKeys(t *testing.T) {
	type entries = map[string]string
	on := func(memory int64) Buffer { return Buffer{Request: true, Memory: memory} }
	for _, test := range []struct {
		annotations, config entries
		nginx, spec         Buffer
		bad                 int
	}{
		{nil, nil, on(64 << 10), Buffer{}, 0},
		{entries{"proxy-request-buffering": "off"}, nil, Buffer{}, Buffer{}, 0},
		{entries{"proxy-request-buffering": "ON"}, nil, on(64 << 10), on(64 << 10), 0},
		{entries{"proxy-request-buffering": "maybe"}, nil, on(64 << 10), Buffer{}, 1},
		{entries{"proxy-request-buffering": "true"}, nil, on(64 << 10), Buffer{}, 1},
		{entries{"proxy-request-buffering": " "}, nil, on(64 << 10), Buffer{}, 0},
		{entries{"proxy-request-buffering": "on", "client-body-buffer-size": "1m"}, nil, on(1 << 20), on(1 << 20), 0},
		{entries{"proxy-request-buffering": "on", "client-body-buffer-size": "0"}, nil, on(0), on(0), 0},
		{entries{"proxy-request-buffering": "on", "client-body-buffer-size": "-1"}, nil, on(64 << 10), on(64 << 10), 1},
		{entries{"proxy-request-buffering": "on", "client-body-buffer-size": "99999999g"}, nil, on(64 << 10), on(64 << 10), 1},
		{nil, entries{"proxy-request-buffering": "off"}, Buffer{}, Buffer{}, 0},
		{nil, entries{"proxy-request-buffering": "on", "client-body-buffer-size": "16k"}, on(16 << 10), on(16 << 10), 0},
		{entries{"proxy-request-buffering": "on"}, entries{"proxy-request-buffering": "off"}, on(64 << 10), on(64 << 10), 0},
		{entries{"proxy-request-buffering": "x"}, entries{"proxy-request-buffering": "off"}, Buffer{}, Buffer{}, 1},
		{entries{"proxy-buffering": "on", "proxy-buffers-number": "8"}, nil, on(64 << 10), Buffer{}, 2},
		{entries{"proxy-buffering": "off"}, nil, on(64 << 10), Buffer{}, 0},
	} {
		for profile, want := range map[Profile]Buffer{Nginx: test.nginx, Spec: test.spec} {
			prefixed := make(map[string]string)
			for k, v := range test.annotations {
				prefixed[NginxPrefix+k] = v
			}
			s, findings := Parse(Input{Annotations: prefixed, Config: test.config, Profile: profile})
			if s.Buffer != want || len(findings) != test.bad || len(s.Refused) > 0 {
				t.Errorf("%v, %v, %s: want %+v and %d findings, got %+v, %v", test.annotations, test.config, profile, want, test.bad, s.Buffer, findings)
			}
		}
	}
}

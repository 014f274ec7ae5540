package policy

import (
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

func TestRetryKeys(t *testing.T) {
	const errorTimeout = upstream.OnError | upstream.OnTimeout
	on503 := upstream.OnStatus(503)
	usual := upstream.Retry{On: errorTimeout, Again: true}
	type entries = map[string]string
	for _, test := range []struct {
		name        string
		annotations entries
		config      entries
		nginx, spec upstream.Retry
		bad         int
	}{
		{"none", nil, nil, usual, upstream.Retry{}, 0},
		{"empty", entries{"proxy-next-upstream": " "}, nil, usual, upstream.Retry{}, 0},
		{
			"words",
			entries{"proxy-next-upstream": "http_503  timeout"},
			nil,
			upstream.Retry{On: on503 | upstream.OnTimeout, Again: true},
			upstream.Retry{On: on503 | upstream.OnTimeout},
			0,
		},
		{"off", entries{"proxy-next-upstream": "off", "proxy-next-upstream-tries": "9"}, nil, upstream.Retry{Tries: 1}, upstream.Retry{Tries: 1}, 0},
		{"off among others", entries{"proxy-next-upstream": "error off"}, nil, upstream.Retry{Tries: 1}, upstream.Retry{Tries: 1}, 0},
		{"unknown word", entries{"proxy-next-upstream": "error sometimes"}, nil, usual, upstream.Retry{}, 1},
		{"commas", entries{"proxy-next-upstream": "error,timeout"}, nil, usual, upstream.Retry{}, 1},
		{"unknown word, and a good setting", entries{"proxy-next-upstream": "x"}, entries{"proxy-next-upstream": "http_503"}, upstream.Retry{On: on503, Again: true}, upstream.Retry{On: on503}, 1},
		{"setting", nil, entries{"proxy-next-upstream": "http_503", "proxy-next-upstream-tries": "2"}, upstream.Retry{On: on503, Again: true, Tries: 2}, upstream.Retry{On: on503, Tries: 2}, 0},
		{"annotation over setting", entries{"proxy-next-upstream": "error timeout"}, entries{"proxy-next-upstream": "off"}, usual, upstream.Retry{On: errorTimeout}, 0},
		{"bad setting", nil, entries{"proxy-next-upstream": "http_418"}, usual, upstream.Retry{}, 0},
		{"tries", entries{"proxy-next-upstream-tries": "1"}, nil, upstream.Retry{On: errorTimeout, Again: true, Tries: 1}, upstream.Retry{Tries: 1}, 0},
		{"usual tries", entries{"proxy-next-upstream-tries": "3"}, nil, usual, upstream.Retry{}, 0},
		{"no bound", entries{"proxy-next-upstream-tries": "0"}, nil, upstream.Retry{On: errorTimeout, Tries: 100}, upstream.Retry{Tries: 100}, 0},
		{"most tries", entries{"proxy-next-upstream-tries": "100"}, nil, upstream.Retry{On: errorTimeout, Again: true, Tries: 100}, upstream.Retry{Tries: 100}, 0},
		{"too many tries", entries{"proxy-next-upstream-tries": "101"}, nil, usual, upstream.Retry{}, 1},
		{"negative tries", entries{"proxy-next-upstream-tries": "-1"}, nil, usual, upstream.Retry{}, 1},
		{"no number", entries{"proxy-next-upstream-tries": "x", "proxy-next-upstream-timeout": "1s"}, nil, usual, upstream.Retry{}, 2},
		{"timeout", entries{"proxy-next-upstream-timeout": "7"}, nil, upstream.Retry{On: errorTimeout, Again: true, Timeout: 7 * time.Second}, upstream.Retry{Timeout: 7 * time.Second}, 0},
		{
			"non-idempotent setting", nil,
			entries{"retry-non-idempotent": "true"},
			upstream.Retry{On: errorTimeout | upstream.NonIdempotent, Again: true},
			upstream.Retry{On: upstream.OnError | upstream.NonIdempotent},
			0,
		},
		{"non-idempotent setting, but off", entries{"proxy-next-upstream": "off"}, entries{"retry-non-idempotent": "true"}, upstream.Retry{Tries: 1}, upstream.Retry{Tries: 1}, 0},
	} {
		for profile, want := range map[Profile]upstream.Retry{Nginx: test.nginx, Spec: test.spec} {
			prefixed := make(map[string]string)
			for k, v := range test.annotations {
				prefixed[NginxPrefix+k] = v
			}
			s, findings := Parse(Input{Annotations: prefixed, Config: test.config, Profile: profile})
			if s.Retry != want || len(findings) != test.bad {
				t.Errorf("%s, %s: want %+v and %d findings, got %+v, %v", test.name, profile, want, test.bad, s.Retry, findings)
			}
			for _, f := range findings {
				if f.Outcome != Invalid {
					t.Errorf("%s: want the rules to serve, got %v", test.name, f.Err)
				}
			}
		}
	}
}

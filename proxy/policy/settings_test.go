package policy

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// The table of keys that nothing reads is searched by halving.
func TestSettingsAreSorted(t *testing.T) {
	if !slices.IsSortedFunc(settings[:], func(a, b key) int { return strings.Compare(a.name, b.name) }) {
		t.Error("settings is not sorted by name")
	}
	if !slices.IsSortedFunc(idioms[:], func(a, b idiom) int { return strings.Compare(a.directive, b.directive) }) {
		t.Error("idioms is not sorted by directive")
	}
	seen := map[string]string{}
	for _, k := range Settings() {
		for _, name := range append([]string{k.Name}, k.Aliases...) {
			if before, twice := seen[name]; twice {
				t.Errorf("key %s is of %q and of %q", name, before, k.Feature)
			}
			seen[name] = k.Feature
			if k.Doc == "" {
				t.Errorf("key %s has no text", name)
			}
		}
	}
}

func TestParseConfig(t *testing.T) {
	for _, tt := range []struct {
		key, value string
		outcome    Outcome // 0: no finding
		text       string
	}{
		{"proxy-body-size", "8m", 0, ""},
		{"proxy-body-size", "8q", Invalid, "want a size"},
		{"hsts-max-age", "-1", Invalid, "want a number"},
		{"hsts", "perhaps", Invalid, "want true or false"},
		{"limit-req-status-code", "200", Invalid, "from 400 to 599"},
		{"http-redirect-code", "305", Invalid, "301, 302, 303, 307 or 308"},
		{"whitelist-source-range", "10.0.0.0/8,x", Refused, `got "x"`},
		{"denylist-source-range", "", 0, ""},
		{"use-forwarded-headers", "true", 0, ""},
		{"use-forwarded-headers", "si", Invalid, "want true or false"},
		{"forwarded-for-header", "X Y", Invalid, "want the name of a header field"},
		{"proxy-real-ip-cidr", "10.0.0.0/99", Invalid, "want addresses or CIDRs"},
		{"proxy-real-ip-cidr", ",", Invalid, "got none"},
		{"proxy-real-ip-cidr", " , ,", Invalid, "got none"},
		{"proxy-real-ip-cidr", " ", 0, ""},
		{"worker-processes", "4", NoEffect, "GOMAXPROCS"},
		{"allow-snippet-annotations", "false", 0, ""},
		{"allow-snippet-annotations", "true", NoEffect, "never executed"},
		{"log-format-upstream", "$remote_addr", NoEffect, "--access-log"},
		{"main-snippet", "env X;", LeftOut, "raw nginx configuration"},
		{"http-snippet", "deny all;", Refused, "deny: denylist-source-range"},
		{"server-snippet", "add_header A b;", LeftOut, "add_header"},
		{"global-auth-url", "http://a.example/", 0, ""},
		{"global-auth-url", "ftp://a.example/", Refused, "every request is answered 503"},
		{"global-auth-snippet", "proxy_pass x;", Refused, "every request is answered 503"},
		{"custom-http-errors", "404,999", Invalid, "from 400 to 599"},
		{"hsts-maxage", "1", Unknown, "did you mean hsts-max-age?"},
		{"global-auth-ulr", "http://a.example/", Refused, "did you mean global-auth-url?"},
		{"made-up", "1", Unknown, "no key has a similar name"},
	} {
		_, findings := ParseConfig(map[string]string{tt.key: tt.value}, nil)
		if tt.outcome == 0 {
			if len(findings) > 0 {
				t.Errorf("%s: %q: %v", tt.key, tt.value, findings)
			}
			continue
		}
		if len(findings) != 1 || findings[0].Outcome != tt.outcome || findings[0].Setting != tt.key || !strings.Contains(findings[0].Err.Error(), tt.text) {
			t.Errorf("%s: %q: got %v, want one finding %v with %q", tt.key, tt.value, findings, tt.outcome, tt.text)
		}
	}
}

// A guard that is misspelled is believed to guard: it left every rule open, with a warning.
func TestMisspelledGuardOfTheConfigMapCloses(t *testing.T) {
	for name, meant := range map[string]string{
		"block-cidr": "block-cidrs", "Block-CIDRs": "block-cidrs", "block-user-agent": "block-user-agents", "block-user-agetns": "block-user-agents",
		"blocks-referers": "block-referers", "block-referrers": "block-referers", "http-snipet": "http-snippet",
	} {
		config := map[string]string{name: "192.0.2.1"}
		g, findings := ParseConfig(config, nil)
		if len(findings) != 1 || findings[0].Outcome != Refused || !strings.Contains(findings[0].Err.Error(), "did you mean "+meant+"?") {
			t.Errorf("%s: %v, want a refusal that speaks of %s", name, findings, meant)
		}
		s, _ := Parse(Input{Profile: Nginx, Config: config, Refused: g.Refused})
		if want := []string{settingName(name)}; !slices.Equal(s.Refused, want) {
			t.Errorf("%s: rules are refused for %v, want %v", name, s.Refused, want)
		}
	}
	for _, name := range []string{"hsts-maxage", "proxy-body-sizes", "block-cache", "worker-proceses", "x"} {
		if _, findings := ParseConfig(map[string]string{name: "1"}, nil); len(findings) != 1 || findings[0].Outcome != Unknown {
			t.Errorf("%s: %v, want no more than a warning", name, findings)
		}
	}
}

func TestTrust(t *testing.T) {
	for name, tt := range map[string]struct {
		config map[string]string
		peer   string
		want   bool
		field  string
	}{
		"off":                     {map[string]string{"proxy-real-ip-cidr": "10.0.0.0/8"}, "10.1.1.1", false, ""},
		"on, a private peer":      {map[string]string{"use-forwarded-headers": "true"}, "10.1.1.1", true, ""},
		"on, a public peer":       {map[string]string{"use-forwarded-headers": "true"}, "192.0.2.1", false, ""},
		"anybody, written out":    {map[string]string{"use-forwarded-headers": "true", "proxy-real-ip-cidr": "0.0.0.0/0"}, "192.0.2.1", true, ""},
		"a list with a mistake":   {map[string]string{"use-forwarded-headers": "true", "proxy-real-ip-cidr": "10.0.0.0/8,y"}, "10.1.1.1", false, ""},
		"commas alone":            {map[string]string{"use-forwarded-headers": "true", "proxy-real-ip-cidr": ","}, "10.1.1.1", false, ""},
		"an empty list is none":   {map[string]string{"use-forwarded-headers": "true", "proxy-real-ip-cidr": " "}, "10.1.1.1", true, ""},
		"a field of another name": {map[string]string{"use-forwarded-headers": "true", "forwarded-for-header": "cf-connecting-ip"}, "10.1.1.1", true, "Cf-Connecting-Ip"},
	} {
		g, _ := ParseConfig(tt.config, nil)
		got := slices.ContainsFunc(g.Trust.Proxies, func(p netip.Prefix) bool { return p.Contains(netip.MustParseAddr(tt.peer)) })
		if got != tt.want || g.Trust.ForwardedFor != tt.field {
			t.Errorf("%s: believes %t, field %q", name, got, g.Trust.ForwardedFor)
		}
	}
}

// An annotation wins over the ConfigMap, and a bad annotation of tuning leaves it in force.
func TestConfigIsDefault(t *testing.T) {
	config := map[string]string{"proxy-body-size": "2k", "force-ssl-redirect": "true", "denylist-source-range": "192.0.2.1"}
	for _, tt := range []struct {
		annotation, value string
		want              int64
		findings          int
	}{
		{"x", "", 2048, 0},
		{NginxPrefix + "proxy-body-size", "3k", 3072, 0},
		{NginxPrefix + "proxy-body-size", "3x", 2048, 1},
	} {
		s, findings := Parse(Input{Profile: Nginx, Config: config, Annotations: map[string]string{tt.annotation: tt.value}})
		if s.BodySize != tt.want || len(findings) != tt.findings || s.SSLRedirect == nil || !s.SSLRedirect.Always || s.Access == nil {
			t.Errorf("%s: %q: %+v, %v", tt.annotation, tt.value, s, findings)
		}
	}
	s, findings := Parse(Input{Profile: Spec, Config: map[string]string{"denylist-source-range": "a", "hsts": "b"}})
	if len(s.Refused) != 1 || len(findings) != 1 || findings[0].Setting != "denylist-source-range" {
		t.Errorf("a bad guard of the ConfigMap: %v, %v; want one refusal and nothing of hsts", s.Refused, findings)
	}
}

func TestJudgeSnippet(t *testing.T) {
	for snippet, harmful := range map[string]bool{
		"":                                false,
		"# a comment\n\n":                 false,
		`more_set_headers "X-A: b";`:      false,
		"add_header X-A \"b;c}\" always;": false,
		"add_header X-A b":/* no end */ true,
		"deny all;":                                  true,
		"add_header A b; deny all;":                  true,
		"if ($host = a) { add_header A b; }":         true,
		"location /x { add_header A b; }":            true,
		"add_header A b; }":                          true,
		"proxy_read_timeout 600s;":                   false,
		"client_max_body_size 0;":                    false,
		"return 301 https://b.example;":              true,
		"made_up x;":                                 true,
		"proxy_set_header X-Real-Port $remote_port;": false,
		"proxy_set_header X-Remote-User $a;":         true,
		`proxy_set_header X-Tenant "";`:              true,
		"more_clear_input_headers Secret;":           true,
		`more_set_input_headers "X-T: ";`:            true,
		"proxy_hide_header X-Powered-By;":            false,
		`add_header A "b\"; deny all; #";`:           true, // quoting that we do not follow
		"rewrite ^/(.*) /a/$1 break;":                true,
		"auth_request /x;":                           true,
		"add_header A ${host};":                      false,
		"proxy_set_header X-Scope-OrgID a;":          true,
		"add_header A x-${host}-y;":                  false,
		"add_header A a}b;":                          false,
	} {
		if got := judgeSnippet(snippet); got.harmful != harmful {
			t.Errorf("%q: harmful %t, want %t: %v", snippet, got.harmful, harmful, got.instead)
		}
	}
}

// nginx 1.26 takes each of these but the last, and denies everybody.
func TestSnippetHidesNothingInQuotes(t *testing.T) {
	for _, snippet := range []string{
		`add_header X it's; deny all; add_header Y it's;`,
		`add_header X a"; deny all; add_header Y b";`,
		`add_header X \'; deny all; add_header Y z';`,
		`proxy_hide_header ${a; deny all; proxy_hide_header b};`,
		`add_header X "a"b";deny all;";`,
	} {
		if judgeSnippet(snippet).cosmetic() {
			t.Errorf("%q counts as cosmetic", snippet)
		}
	}
}

// To judge the ConfigMap costs far more than to read an Ingress, so it is done once for all.
func TestConfigIsJudgedOnce(t *testing.T) {
	config := map[string]string{"global-auth-snippet": "proxy_pass x;", "made-up": "1", "worker-processes": "4"}
	g, _ := ParseConfig(config, nil)
	if len(g.Refused) != 1 || g.Refused[0].Setting != "global-auth-snippet" {
		t.Fatalf("refused: %v", g.Refused)
	}
	s, findings := Parse(Input{Profile: Nginx, Config: config, Refused: g.Refused})
	if want := []string{"ConfigMap key global-auth-snippet"}; !slices.Equal(s.Refused, want) || len(findings) != 1 {
		t.Errorf("refused %v with %v, want %v", s.Refused, findings, want)
	}
	for name := range settings {
		config[settings[name].name] = "1"
	}
	few := testing.AllocsPerRun(5, func() { Parse(Input{Profile: Nginx}) })
	if many := testing.AllocsPerRun(5, func() { Parse(Input{Profile: Nginx, Config: config}) }); many > 4*few+100 {
		t.Errorf("%.0f allocations with %d settings that nothing reads, %.0f with none", many, len(config), few)
	}
}

func FuzzJudgeSnippet(f *testing.F) {
	f.Add("add_header A \"b\"; # c\ndeny all;")
	f.Add("if ($x) { return 403; }")
	f.Fuzz(func(t *testing.T, snippet string) {
		if !judgeSnippet(snippet).harmful && judgeSnippet(snippet+"\ndeny all;").cosmetic() {
			t.Errorf("a deny at the end of %q goes unseen", snippet)
		}
	})
}

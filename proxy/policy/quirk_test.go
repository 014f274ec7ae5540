package policy

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
)

// switched returns Switches with all quirks on, or off.
func switched(t *testing.T, on bool) Switches {
	t.Helper()
	var s Switches
	for _, q := range QuirkDocs() {
		if err := s.Switch(q.Name, on); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// With the same quirks the profiles are the same: there is no difference without a name.
func TestProfilesDifferByQuirksAlone(t *testing.T) {
	inputs := []map[string]string{
		nil,
		{"enable-cors": "true"},
		{"enable-cors": "true", "cors-allow-headers": "*"},
		{"enable-cors": "true", "cors-allow-origin": "https://a.example"},
		{"limit-rps": "1", "limit-connections": "2", "limit-rpm": "3"},
		{"from-to-www-redirect": "true"},
		{"force-ssl-redirect": "true"},
		{"use-regex": "perhaps"},
		{"rewrite-target": "/$1"},
		{"auth-secret": "users"},
		{"auth-realm": "x"},
		{"auth-signin": "https://a.example/"},
		{"auth-url": ""},
		{"auth-url": "http://a.example/"},
		{"canary": "true", "canary-by-header": "X_Lane", "canary-by-cookie": "Lane"},
		{"proxy-next-upstream": "off"},
		{"proxy-next-upstream": "http_503"},
		{"affinity": "cookie"},
		{"backend-protocol": "HTTPS"},
	}
	for _, k := range Keys() {
		if k.GlobalOnly {
			continue
		}
		for _, value := range []string{"", "true", "false", "on", "1", "x y", "/a", "http://a.example/"} {
			inputs = append(inputs, map[string]string{k.Name: value})
		}
	}
	for _, sample := range guardKeys {
		inputs = append(inputs, sample.beside)
	}
	for _, on := range []bool{true, false} {
		quirks := switched(t, on)
		for _, keys := range inputs {
			annotations := map[string]string{}
			for k, v := range keys {
				annotations[Prefix+k] = v
			}
			in := Input{Annotations: annotations, Namespace: "shop", Quirks: quirks}
			spec, findings := Parse(in)
			in.Profile = Nginx
			nginx, findings2 := Parse(in)
			if !reflect.DeepEqual(spec, nginx) || fmt.Sprint(findings) != fmt.Sprint(findings2) {
				t.Errorf("%v, all quirks %v: spec\n%+v %v\ningress-nginx\n%+v %v", keys, on, spec, findings, nginx, findings2)
			}
		}
	}
}

func TestSwitch(t *testing.T) {
	var s Switches
	if s.Of(Spec).Has(QuirkHSTS) || !s.Of(Nginx).Has(QuirkHSTS) || !s.Of(Spec).Has(QuirkRegexAnyCase) {
		t.Error("the defaults of the profiles")
	}
	for _, c := range []struct {
		name        string
		on          bool
		spec, nginx bool
	}{{"hsts-default", true, true, true}, {"hsts-default", false, false, false}, {"hsts-default", true, true, true}} {
		if err := s.Switch(c.name, c.on); err != nil || s.Of(Spec).Has(QuirkHSTS) != c.spec || s.Of(Nginx).Has(QuirkHSTS) != c.nginx {
			t.Errorf("%s=%v: %v, spec %v, ingress-nginx %v", c.name, c.on, err, s.Of(Spec).Has(QuirkHSTS), s.Of(Nginx).Has(QuirkHSTS))
		}
	}
	for name, want := range map[string]string{"hsts-defalt": "did you mean hsts-default?", "": "there is no quirk", "x": "there is no quirk \"x\""} {
		if err := s.Switch(name, true); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
}

// Names are unique and every quirk says what it does.
func TestQuirksAreDocumented(t *testing.T) {
	seen := map[string]bool{}
	for _, q := range QuirkDocs() {
		if q.Name == "" || q.Doc == "" || seen[q.Name] || q.Name != q.Quirk.String() {
			t.Errorf("quirk %+v", q)
		}
		seen[q.Name] = true
	}
}

func TestUses(t *testing.T) {
	var (
		env  Env
		uses Uses
		wait sync.WaitGroup
	)
	if got := uses.All(); len(got) > 0 {
		t.Errorf("nothing was counted, got %v", got)
	}
	for range 8 {
		wait.Go(func() {
			for range 100 {
				w := &writer{ResponseRecorder: httptest.NewRecorder(), path: "/" + strings.Repeat("x", 2*maxSample)}
				env.Depends(QuirkHSTS, &uses, w, httptest.NewRequest(http.MethodGet, "/?secret=1", nil))
				env.Depends(QuirkHSTS, nil, w, httptest.NewRequest(http.MethodGet, "/", nil))
			}
		})
	}
	wait.Wait()
	all := uses.All()
	if len(all) != 1 || all[0].Quirk != QuirkHSTS || all[0].Requests != 800 || env.Depended(QuirkHSTS) != 1600 {
		t.Fatalf("got %+v and %d in all", all, env.Depended(QuirkHSTS))
	}
	if s := all[0].Sample; !strings.HasPrefix(s, "GET ://a.example/xx") || len(s) > maxSample+3 || strings.Contains(s, "secret") {
		t.Errorf("the sample is %q", s)
	}
}

// What an annotation asks for is no quirk.
func TestAskedForIsNoQuirk(t *testing.T) {
	annotations := map[string]string{
		"ssl-redirect": "true", "preserve-trailing-slash": "false", "proxy-body-size": "1m", "limit-rps": "1",
		"enable-cors": "true", "cors-allow-credentials": "true", "proxy-next-upstream": "error timeout",
	}
	in := Input{Profile: Nginx, Annotations: map[string]string{}, Config: map[string]string{"hsts": "true", "limit-req-status-code": "503", "limit-conn-status-code": "503"}}
	for k, v := range annotations {
		in.Annotations[Prefix+k] = v
	}
	s, _ := Parse(in)
	for _, q := range []Quirk{QuirkHTTPSRedirect, QuirkCutSlash, QuirkBodyLimit, QuirkLimitStatus, QuirkCORSCredentials, QuirkRetryTimeouts, QuirkHSTS} {
		if s.Quirks.Has(q) {
			t.Errorf("%s: it was asked for", q)
		}
	}
	without := Input{Profile: Nginx, Annotations: maps.Clone(in.Annotations)}
	if s, _ := Parse(without); !s.Quirks.Has(QuirkHSTS) || !s.Quirks.Has(QuirkLimitStatus) {
		t.Error("without the ConfigMap two quirks are left")
	}
}

package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/fairlead-ingress/fairlead/e2e/site"
)

// browserPatience bounds every wait for the browser. It is never the time that something takes.
const browserPatience = 90 * time.Second

// startBrowser starts a headless Chromium with nothing of anybody in it. What the page complains
// of (exceptions, what the content policy refuses) fails the test.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("the dashboard is tested in Chromium: %v", err)
	}
	options := append([]chromedp.ExecAllocatorOption(nil), chromedp.DefaultExecAllocatorOptions[:]...)
	options = append(options, chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.WSURLReadTimeout(browserPatience), chromedp.Flag("disable-background-networking", true))
	allocator, end := chromedp.NewExecAllocator(t.Context(), options...)
	ctx, endTab := chromedp.NewContext(allocator)
	ctx, cancel := context.WithTimeout(ctx, 2*browserPatience)
	t.Cleanup(func() {
		cancel()
		endTab()
		end()
	})
	if err := chromedp.Run(ctx); err != nil { // its context is the browser's life
		t.Fatalf("Chromium: %v", err)
	}
	var mu sync.Mutex
	var complaints []string
	chromedp.ListenTarget(ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			complaints = append(complaints, e.ExceptionDetails.Error())
		case *cdplog.EventEntryAdded:
			complaints = append(complaints, e.Entry.Text+" "+e.Entry.URL)
		}
	})
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range complaints {
			t.Errorf("the page complains: %s", c)
		}
	})
	return ctx
}

// act runs actions in the browser, within browserPatience.
func act(t *testing.T, ctx context.Context, what string, actions ...chromedp.Action) { //nolint:revive // t comes first
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, browserPatience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// until evaluates an expression again and again until it is true. The page may be loaded anew
// meanwhile.
func until(t *testing.T, ctx context.Context, expression string) { //nolint:revive // t comes first
	t.Helper()
	deadline := time.Now().Add(browserPatience)
	for ok := false; !ok; {
		if err := chromedp.Run(ctx, chromedp.Evaluate("Boolean("+expression+")", &ok)); err != nil && (ctx.Err() != nil || time.Now().After(deadline)) {
			t.Fatalf("%s: %v", expression, err)
		}
		if !ok && time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", browserPatience, expression)
		}
		if !ok {
			act(t, ctx, "wait", chromedp.Sleep(50*time.Millisecond))
		}
	}
}

// shot keeps what the page looks like among the test's artifacts.
func shot(t *testing.T, ctx context.Context, name string) { //nolint:revive // t comes first
	t.Helper()
	var png []byte
	act(t, ctx, "screenshot", chromedp.FullScreenshot(&png, 100))
	if err := os.WriteFile(filepath.Join(t.ArtifactDir(), name+".png"), png, 0o600); err != nil {
		t.Fatal(err)
	}
}

// faint is a script that lists the texts whose contrast with what is behind them is below what
// WCAG 2 asks for (AA: 4.5, 3 for large ones).
const faint = `(() => {
  const luminance = ([r, g, b]) => {
    const f = (c) => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b);
  };
  const rgba = (text) => { const n = text.match(/[\d.]+/g).map(Number); return n.length === 3 ? [...n, 1] : n; };
  const bad = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode.data.trim(), e = walk.currentNode.parentElement;
    const box = e.getBoundingClientRect(), style = getComputedStyle(e);
    if (!text || box.width < 2 || box.height < 2 || e.closest("option, script")) continue;
    let behind = e, ground = [255, 255, 255, 1];
    for (; behind; behind = behind.parentElement) {
      const c = rgba(getComputedStyle(behind).backgroundColor);
      if (c[3] === 1) { ground = c; break; }
    }
    const [a, b] = [luminance(rgba(style.color)), luminance(ground)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700;
    if (ratio < (large ? 3 : 4.5)) bad.push(text.slice(0, 40) + " " + ratio.toFixed(2));
  }
  return bad;
})()`

func dashboardSite(t *testing.T) *site.Site {
	t.Helper()
	at, err := site.Start(site.Options{Binary: binary, Dir: t.TempDir(), Flags: []string{"--access-log=off"}, Files: map[string][]byte{
		"secret.yaml": []byte(certificate),
		"web.yaml":    []byte(ingress("web", "shop.example", "web") + "---\n" + service("web", "web-1 web-2 web-3")),
		"broken.yaml": []byte(ingress("broken", "broken.example", "no-such-service")),
		"long.yaml":   []byte(ingress("long", strings.Repeat("a-very-long-label-of-a-name.", 6)+"example", "web")),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := at.Stop(); err != nil {
			t.Error(err)
		}
	})
	for i := range 40 {
		host := []string{"shop.example", "broken.example"}[min(1, i%5/4)]
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+at.Address("http")+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		resp, err := http.DefaultTransport.RoundTrip(r) //nolint:forbidigo // a client as any
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	return at
}

// The page on a desk and on a phone, light and dark: nothing is cut off, nothing is faint, and
// what is wrong is said.
func TestDashboardLooks(t *testing.T) {
	at := dashboardSite(t)
	ctx := startBrowser(t)
	page := "http://" + at.Address("admin") + "/?url=http%3A%2F%2Fbroken.example%2F"
	for _, size := range []struct {
		name          string
		width, height int64
	}{{"desk", 1280, 900}, {"phone", 360, 780}} {
		for _, scheme := range []string{"light", "dark"} {
			name := size.name + "-" + scheme
			var wide bool
			var pale []string
			act(t, ctx, name,
				chromedp.EmulateViewport(size.width, size.height),
				emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
				chromedp.Navigate(page),
				chromedp.WaitVisible("#explain .answer"),
				chromedp.Evaluate(`document.documentElement.scrollWidth > innerWidth`, &wide),
				chromedp.Evaluate(`document.querySelectorAll("details").forEach((d) => { d.open = true })`, nil),
				chromedp.Evaluate(faint, &pale),
			)
			shot(t, ctx, name)
			if wide {
				t.Errorf("%s: the page is wider than the window", name)
			}
			if len(pale) > 0 {
				t.Errorf("%s: too little contrast: %q", name, pale)
			}
		}
	}
	text := func(selector string) (s string) {
		act(t, ctx, selector, chromedp.Text(selector, &s))
		return s
	}
	if got := text("#explain .first"); !strings.Contains(got, "First broken: service") {
		t.Errorf("explained: %q", got)
	}
	if got := text("#problems"); !strings.Contains(got, "ServiceNotFound") {
		t.Errorf("problems: %q", got)
	}
}

// What is done with the page: ask, probe, search, and see it follow a change by itself.
func TestDashboardWorks(t *testing.T) {
	at := dashboardSite(t)
	ctx := startBrowser(t)
	admin := "http://" + at.Address("admin") + "/"
	var answer, steps string
	act(t, ctx, "ask",
		chromedp.Navigate(admin), chromedp.WaitVisible("#url"),
		chromedp.SendKeys("#url", "http://shop.example/cart"), chromedp.Click("#explain button.primary"),
		chromedp.WaitVisible("#explain .answer"), chromedp.Text("#explain .verdict", &answer),
	)
	if !strings.Contains(answer, "served") || !strings.Contains(answer, "http://shop.example/cart") {
		t.Errorf("explained: %q", answer)
	}
	act(t, ctx, "probe",
		chromedp.Evaluate(`window.before = true`, nil),
		chromedp.Click(`#explain button[name="probe"]`),
	)
	until(t, ctx, `!window.before && document.querySelector("#explain .answer")`)
	act(t, ctx, "probed", chromedp.Text("#explain .steps", &steps))
	if !strings.Contains(steps, "Reachable") {
		t.Errorf("probed: %s", steps)
	}

	act(t, ctx, "open the page", chromedp.Navigate(admin+"?sort=name"), chromedp.WaitVisible("#routes"), chromedp.Evaluate(`window.same = true`, nil))
	if err := at.Apply("new.yaml", []byte(ingress("new", "new.example", "web"))); err != nil {
		t.Fatal(err)
	}
	var same bool
	until(t, ctx, `document.querySelector("#routes").textContent.includes("new.example/") && document.querySelector("#changes").textContent.includes("new.example/")`)
	act(t, ctx, "the page follows", chromedp.Evaluate(`window.same === true`, &same))
	if !same {
		t.Error("the page was loaded as a whole")
	}
	var rows int
	act(t, ctx, "search", chromedp.SendKeys("#q", "new.example\n"))
	until(t, ctx, `document.querySelector("#q")?.value === "new.example" && location.search.includes("q=")`)
	act(t, ctx, "searched", chromedp.Evaluate(`document.querySelectorAll("#routes tbody tr").length`, &rows))
	if rows != 1 {
		t.Errorf("%d routes are found, want one", rows)
	}
}

// Everything can be read, and asked, without JavaScript.
func TestDashboardWithoutScript(t *testing.T) {
	at := dashboardSite(t)
	ctx := startBrowser(t)
	var routes, answer string
	var buttons int
	act(t, ctx, "without script",
		emulation.SetScriptExecutionDisabled(true),
		chromedp.Navigate("http://"+at.Address("admin")+"/"), chromedp.WaitVisible("#routes"), chromedp.Text("#routes", &routes),
		chromedp.SendKeys("#url", "http://shop.example/"), chromedp.Click("#explain button.primary"),
		chromedp.WaitVisible("#explain .answer"), chromedp.Text("#explain .verdict", &answer),
		chromedp.Evaluate(`document.querySelectorAll(".live").length`, &buttons),
	)
	if !strings.Contains(routes, "shop.example/") || !strings.Contains(answer, "served") {
		t.Errorf("routes %q, answer %q", routes, answer)
	}
	if buttons != 0 {
		t.Error("there are buttons that do nothing")
	}
}

// The debug header names what a request met, for those whom the flag allows.
func TestDebugHeader(t *testing.T) {
	for flag, want := range map[string]string{"127.0.0.0/8": `Ingress web: shop.example Prefix "/"`, "192.0.2.0/24": ""} {
		at, err := site.Start(site.Options{Binary: binary, Dir: t.TempDir(), Flags: []string{"--debug-header-cidrs", flag}, Files: map[string][]byte{
			"secret.yaml": []byte(certificate), "web.yaml": []byte(ingress("web", "shop.example", "web") + "---\n" + service("web", "web-1")),
		}})
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+at.Address("http")+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "shop.example"
		r.Header.Set("X-Fairlead-Debug", "1")
		resp, err := http.DefaultTransport.RoundTrip(r) //nolint:forbidigo // a client as any
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := strings.ReplaceAll(resp.Header.Get("X-Fairlead-Route"), "default/", ""); !strings.HasPrefix(got, want) || (got == "") != (want == "") {
			t.Errorf("%s: %q, want %q", flag, got, want)
		}
		if err := at.Stop(); err != nil {
			t.Error(err)
		}
	}
}

// What the page asks for by a link makes no connections.
func TestProbeNeedsPost(t *testing.T) {
	at := dashboardSite(t)
	code, body, err := at.Admin("/debug/explain?url=http://shop.example/&probe=true")
	if err != nil || code != http.StatusMethodNotAllowed {
		t.Errorf("GET with probe: %d %s %v", code, body, err)
	}
	out, err := exec.CommandContext(t.Context(), binary, "explain", "--admin", "http://"+at.Address("admin"), "--probe", "-o", "json",
		"--resolve", "shop.example:80:192.0.2.1", "http://shop.example/").Output()
	if err != nil {
		t.Fatalf("explain --admin --probe: %v\n%s", err, out)
	}
	var e struct {
		Steps []struct{ Name, Reason string }
	}
	if err := json.Unmarshal(out, &e); err != nil {
		t.Fatal(err)
	}
	if last := e.Steps[len(e.Steps)-1]; fmt.Sprint(last) != "{probe Reachable}" {
		t.Errorf("the last step is %v", last)
	}
}

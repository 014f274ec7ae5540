package router_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/fairlead-ingress/fairlead/router"
)

func Example() {
	answer := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, text) })
	}
	table, _ := router.Build([]*router.Route{
		{Host: "shop.example", Path: "/", PathType: router.Prefix, Handler: answer("the shop")},
		{Host: "shop.example", Path: "/api", PathType: router.Prefix, Handler: answer("its API")},
		{PathType: router.Default, Handler: answer("no such host")},
	})

	handler := func(w http.ResponseWriter, r *http.Request) {
		host, err := router.CanonicalHost(r.Host)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		path, err := router.CanonicalPath(r.URL.EscapedPath())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		route, _ := table.Lookup(host, path.Match)
		if route == nil {
			http.NotFound(w, r)
			return
		}
		route.Handler.ServeHTTP(w, r)
	}

	for _, url := range []string{
		"http://shop.example/cart", "http://Shop.Example:8080//api/v1?q", "http://other.example/",
	} {
		w := httptest.NewRecorder()
		handler(w, httptest.NewRequest("GET", url, nil))
		fmt.Print(w.Body)
	}
	// Output:
	// the shop
	// its API
	// no such host
}

func ExampleTable_Lookup() {
	table, _ := router.Build([]*router.Route{
		{Host: "shop.example", Path: "/", PathType: router.Prefix, Target: "shop/web:80"},
		{Host: "shop.example", Path: "/cart", PathType: router.Prefix, Target: "shop/cart:80"},
		{Host: "shop.example", Path: "/cart", PathType: router.Exact, Target: "shop/front:80"},
		{Host: "*.example", Path: "/cart", PathType: router.Prefix, Target: "shop/wild:80"},
	})
	for _, request := range [][2]string{
		{"shop.example", "/cart"},
		{"shop.example", "/cart/items"},
		{"shop.example", "/carts"},
		{"www.example", "/cart"},
		{"www.example", "/"},
		{"a.b.example", "/"},
	} {
		route, outcome := table.Lookup(request[0], request[1])
		if route == nil {
			fmt.Println(request, outcome)
			continue
		}
		fmt.Println(request, outcome, route.Target)
	}
	// Output:
	// [shop.example /cart] Matched shop/front:80
	// [shop.example /cart/items] Matched shop/cart:80
	// [shop.example /carts] Matched shop/web:80
	// [www.example /cart] Matched shop/wild:80
	// [www.example /] NoPath
	// [a.b.example /] NoHost
}

func ExampleBuild_conflict() {
	older := router.Origin{Namespace: "shop", Name: "web", Created: time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC)}
	newer := router.Origin{Namespace: "intruder", Name: "web", Created: time.Date(2025, 4, 1, 0, 0, 0, 0, time.UTC)}
	table, conflicts := router.Build([]*router.Route{
		{Host: "shop.example", Path: "/api/", PathType: router.Prefix, Origin: newer, Target: "intruder/api:80"},
		{Host: "Shop.Example", Path: "/api", PathType: router.Prefix, Origin: older, Target: "shop/api:80"},
	})
	_, _ = table.WriteTo(os.Stdout)
	for _, c := range conflicts {
		fmt.Printf("%s loses %s to %s\n", c.Loser.Origin, c.Example, c.Winner.Origin)
	}
	// Output:
	// shop.example /api Prefix shop/api:80 shop/web
	// intruder/web loses http://shop.example/api to shop/web
}

func ExampleCanonicalPath() {
	for _, escaped := range []string{"/a//b", "/a/%2e%2E/b%3ac", "/sp ace", "/a%2fb", "/a%2f.."} {
		p, err := router.CanonicalPath(escaped)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(p.Match, "forward", p.Forward)
	}
	// Output:
	// /a/b forward /a//b
	// /b:c forward /b%3ac
	// /sp%20ace forward /sp ace
	// /a%2Fb forward /a%2fb
	// path "/a%2f..": want no ".." beside an encoded slash, a backslash or ";"
}

// A request whose route would be another if its encoded slashes were slashes is refused.
func ExamplePath_AsSlashes() {
	table, _ := router.Build([]*router.Route{
		{Host: "shop.example", Path: "/", PathType: router.Prefix, Target: "open"},
		{Host: "shop.example", Path: "/files/private", PathType: router.Prefix, Target: "guarded"},
	})
	for _, escaped := range []string{"/files/a%2Fb", "/files%2Fprivate"} {
		p, _ := router.CanonicalPath(escaped)
		route, _ := table.Lookup("shop.example", p.Match)
		other, _ := table.Lookup("shop.example", p.AsSlashes())
		fmt.Println(escaped, "refuse:", p.Slashes && route != other)
	}
	// Output:
	// /files/a%2Fb refuse: false
	// /files%2Fprivate refuse: true
}

package main

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

var update = flag.Bool("update", false, "rewrite docs/flags.md")

func TestForeignDocument(t *testing.T) {
	const page = "../../docs/flags.md"
	if *update {
		if err := os.WriteFile(page, []byte(foreignDocument()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(page); err != nil || string(got) != foreignDocument() {
		t.Errorf("%s is not what the flags come to; -update rewrites it: %v", page, err)
	}
}

func parseServe(t *testing.T, args ...string) options {
	t.Helper()
	var o options
	f := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	o.register(f)
	if err := f.Parse(args); err != nil {
		t.Fatal(err)
	}
	return o
}

// The args of the chart of ingress-nginx start fairlead, and each that does nothing is named.
func TestForeignDeployment(t *testing.T) {
	o := parseServe(t, "--publish-service=ingress-nginx/ingress-nginx-controller", "--election-id=ingress-nginx-leader",
		"--controller-class=k8s.io/ingress-nginx", "--ingress-class=nginx", "--configmap=ingress-nginx/ingress-nginx-controller",
		"--validating-webhook=:8443", "--validating-webhook-certificate=/usr/local/certificates/cert", "--validating-webhook-key=/usr/local/certificates/key",
		"--enable-metrics=false", "--enable-annotation-validation=true", "--annotations-prefix=nginx.ingress.kubernetes.io", "-v=2", "--http-port=8080", "--healthz-host=127.0.0.1",
		"--shutdown-grace-period=5", "--deep-inspect")
	s, err := o.check()
	if err != nil {
		t.Fatal(err)
	}
	if s.httpAddress != ":8080" || s.httpsAddress != ":443" || s.adminAddress != "127.0.0.1:10254" || s.shutdownDelay != 5*time.Second {
		t.Errorf("addresses %s %s %s, delay %s", s.httpAddress, s.httpsAddress, s.adminAddress, s.shutdownDelay)
	}
	core, logs := observer.New(zapcore.WarnLevel)
	s.foreign.warn(zap.New(core))
	var named []string
	for _, e := range logs.All() {
		named = append(named, e.ContextMap()["flag"].(string))
	}
	want := []string{"--deep-inspect", "--enable-metrics", "--v", "--validating-webhook", "--validating-webhook-certificate", "--validating-webhook-key"}
	if !slices.Equal(named, want) {
		t.Errorf("warned of %v, want %v", named, want)
	}
}

func TestForeignRefused(t *testing.T) {
	for _, args := range [][]string{
		{"--annotations-prefix=a.example"},
		{"--tcp-services-configmap=a/b"},
		{"--udp-services-configmap=a/b"},
		{"--watch-namespace-selector=a=b"},
		{"--report-node-internal-ip-address"},
		{"--http-port=70000"},
		{"--http-port=81", "--http-address=:82"},
		{"--health-check-path=/{x}"},
	} {
		o := parseServe(t, args...)
		if _, err := o.check(); err == nil || !strings.Contains(err.Error(), strings.SplitN(args[0], "=", 2)[0]) {
			t.Errorf("%v: got %v, want an error that names the flag", args, err)
		}
	}
}

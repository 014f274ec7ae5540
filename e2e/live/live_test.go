package live

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/e2e/script"
)

// The tests of e2e/cluster run this one with flags; without them there is no cluster to play at.
var (
	kubectl    = flag.String("kubectl", "", "`PROGRAM,ARGUMENT...` to call kubectl")
	deployment = flag.String("deployment", "", "`NAMESPACE/NAME` of the controller")
	address    = flag.String("address", "", "of the load balancer")
	clientIP   = flag.String("client", "", "address of this process")
	backends   = flag.String("backends", "", "addresses of Pods that run site/backends")
	podImage   = flag.String("pod-image", "", "image of Pods that are backends")
	testdata   = flag.String("testdata", "../testdata", "`folder` of the scripts")
	part       = flag.Int("part", 0, "which of the parts to play")
	parts      = flag.Int("parts", 1, "in how many parts the scripts are played, each at a cluster of its own")
)

// TestScripts plays every script that makes sense at a cluster. In those of the conformance suite
// every backend is a Pod of its own, and the status is looked at too, as the suite does.
func TestScripts(t *testing.T) {
	if *kubectl == "" {
		t.Skip("e2e/cluster plays scripts in a cluster")
	}
	namespace, name, _ := strings.Cut(*deployment, "/")
	c, err := New(Options{
		Kubectl: strings.Split(*kubectl, ","), Namespace: namespace, Deployment: name, Address: *address,
		Client: *clientIP, Backends: strings.Split(*backends, ","), PodImage: *podImage,
	})
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(*testdata, "*.txtar"))
	if err != nil || len(files) < 50 {
		t.Fatalf("%s: want at least 50 scripts, got %d, %v", *testdata, len(files), err)
	}
	for i, file := range files {
		if i%*parts != *part {
			continue
		}
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s, err := script.Parse(name, text)
			if err != nil {
				t.Fatal(err)
			}
			if s.Only != "" {
				t.Skip(s.Only)
			}
			play(t, c, s)
		})
	}
}

func play(t *testing.T, c *Cluster, s *script.Script) {
	files := map[string][]byte{}
	for _, f := range s.Files {
		if !f.Later {
			files[f.Name] = f.Data
		}
	}
	conformance := strings.HasPrefix(s.Name, "conformance-")
	at, err := c.Start(files, s.Flags, conformance)
	t.Cleanup(func() {
		if err := at.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatalf("%v\nlog of the controller:\n%s", err, at.Log())
	}
	script.Play(t, s, at)
	if conformance {
		want := *address
		if s.Name == "conformance-ingress-class" { // nobody's
			want = ""
		}
		for _, ref := range at.Ingresses() {
			err := within(time.Minute, func() error {
				got, err := at.Published(ref)
				if err == nil && got != want {
					err = fmt.Errorf("Ingress %s: the status has address %q, want %q", ref.Name, got, want)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
	}
}

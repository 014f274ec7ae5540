// Command pack writes the OCI image archive of a program, built for some architectures:
//
//	pack -out fairlead.oci.tar -name fairlead:dev -args serve -label KEY=VALUE... amd64=FILE arm64=FILE
//
// In the image the program has the name of the image, without the tag.
package main

import (
	"flag"
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"github.com/fairlead-ingress/fairlead/e2e/image"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func run() error {
	i := image.Image{Binaries: map[string]string{}, Labels: map[string]string{}}
	out := flag.String("out", "", "`file` to write")
	flag.StringVar(&i.Name, "name", "", "`NAME:TAG` of the image")
	args := flag.String("args", "", "arguments of a container that gives none, with spaces between")
	ports := flag.String("ports", "", "ports to expose: 80/tcp, with spaces between")
	created := flag.String("created", "1970-01-01T00:00:00Z", "when, in RFC 3339: that of the commit, so that the archive depends on it alone")
	flag.Func("label", "`KEY=VALUE`, KEY without org.opencontainers.image.", func(s string) error {
		key, value, ok := strings.Cut(s, "=")
		if !ok {
			return fmt.Errorf("want KEY=VALUE")
		}
		i.Labels["org.opencontainers.image."+key] = value
		return nil
	})
	flag.Parse()
	var err error
	if i.Created, err = time.Parse(time.RFC3339, *created); err != nil {
		return fmt.Errorf("-created: %w", err)
	}
	if *out == "" || i.Name == "" {
		return fmt.Errorf("want -out and -name, got %q and %q", *out, i.Name)
	}
	i.Program, _, _ = strings.Cut(path.Base(i.Name), ":")
	i.Args, i.Ports = strings.Fields(*args), strings.Fields(*ports)
	for _, arg := range flag.Args() {
		arch, file, ok := strings.Cut(arg, "=")
		if !ok {
			return fmt.Errorf("want ARCHITECTURE=FILE, got %q", arg)
		}
		i.Binaries[arch] = file
	}
	return image.Write(*out, i)
}

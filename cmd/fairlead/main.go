// Command fairlead is an HTTP/HTTPS ingress controller and reverse proxy for Kubernetes.
//
// "fairlead serve" runs it in a cluster or for a directory of manifests, "fairlead demo" on a
// machine with neither. See "fairlead help".
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	// A second signal, once the first is being obeyed, ends the process as usual.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	root := rootCommand()
	err := root.ExecuteContext(ctx)
	if err == nil {
		return
	}
	var usage usageError
	if !errors.Is(err, errSilent) {
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintf(os.Stderr, "fairlead: %s\n", strings.TrimSuffix(line, "\n"))
		}
	}
	if errors.As(err, &usage) {
		fmt.Fprintln(os.Stderr, "Try 'fairlead help' or 'fairlead COMMAND --help'.")
		os.Exit(2)
	}
	os.Exit(1)
}

// usageError is a mistake on the command line: exit status 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// errSilent ends the program with status 1 when everything was said already.
var errSilent = errors.New("failed")

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "fairlead",
		Short: "An HTTP/HTTPS ingress controller and reverse proxy for Kubernetes",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("no command %q: there are serve, demo, explain, doctor, check, annotations, settings and version", args[0])}
			}
			return nil
		},
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.Version = buildVersion()
	root.SetVersionTemplate(versionLine())
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(serveCommand(), demoCommand(), explainCommand(), doctorCommand(), checkCommand(), annotationsCommand(), settingsCommand(), versionCommand())
	return root
}

// noArgs refuses arguments, as a usage error.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no arguments, got %q", c.CommandPath(), args[0])}
	}
	return nil
}

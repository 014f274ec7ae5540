package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
)

func serveCommand() *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the controller and the proxy, in a cluster or for a directory of manifests",
		Long: `Run the controller and the proxy.

Objects come from the cluster that this Pod runs in, from the one that --kubeconfig
names, or from a directory of YAML files with --manifests. The log goes to standard
error, the access log to standard output, both as lines of JSON. SIGTERM and SIGINT
end it without losing a request: /readyz turns to 503, connections are accepted for
--shutdown-delay, requests may take --drain-timeout. A second signal ends it at once.`,
		Example: `  fairlead serve --manifests ./manifests --http-address 127.0.0.1:8080 --https-address 127.0.0.1:8443
  fairlead serve --kubeconfig ~/.kube/config --publish-status-address 192.0.2.10`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := o.check()
			if err != nil {
				return err
			}
			log := newLogger(c.ErrOrStderr(), s.level)
			defer func() { _ = log.Sync() }() // a terminal cannot be synced
			s.foreign.warn(log)
			if err := forbidCoreDumps(); err != nil {
				log.Warn("private keys could get into core dumps", zap.Error(err))
			}
			in, err := newInstance(s, log, c.OutOrStdout())
			if err != nil {
				return fmt.Errorf("start: %w", err)
			}
			log.Info("starting", zap.String("version", buildVersion()))
			return in.run(c.Context())
		},
	}
	c.Flags().SortFlags = false
	o.register(c.Flags())
	return c
}

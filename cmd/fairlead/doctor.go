package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/fairlead-ingress/fairlead/k8s/explain"
)

func doctorCommand() *cobra.Command {
	var l looking
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Find what is broken in every route and around the controller, worst first",
		Long: `Explain one URL of every route, and look at what the controller needs around it: its
classes, the Service that leads to it, the cluster's DNS. The exit status is 1 when
something is broken.`,
		Example: "  fairlead doctor --manifests ./manifests\n  fairlead doctor --kubeconfig ~/.kube/config -o json",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, controller, err := l.check()
			if err != nil {
				return err
			}
			if l.admin != "" {
				return usageError{errors.New("doctor looks at --manifests or a cluster, not at --admin")}
			}
			state, done, err := l.state(c.Context(), s, controller)
			if err != nil {
				return err
			}
			defer done()
			found := explain.New(state).Doctor()
			if err := writeOutput(c.OutOrStdout(), l.output, found, found.WriteText); err != nil {
				return err
			}
			if found.Broken() {
				return errSilent
			}
			return nil
		},
	}
	l.register(c)
	return c
}

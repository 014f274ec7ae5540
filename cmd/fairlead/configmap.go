package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
)

func settingsCommand() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "settings",
		Short: "List the keys that the ConfigMap of --configmap may have",
		Long: "Lists the keys of the ConfigMap that serve --configmap names. They are those of ingress-nginx.\n" +
			"What is wrong with a key is a Problem on the ConfigMap.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			switch output {
			case "text":
				return writeSettings(c.OutOrStdout())
			case "json":
				return writeSettingsJSON(c.OutOrStdout())
			case "markdown":
				_, err := io.WriteString(c.OutOrStdout(), policy.SettingsDocument())
				return err
			}
			return usageError{fmt.Errorf("--output: want text, json or markdown, got %q", output)}
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "text", "`format`: text, json or markdown")
	return c
}

func writeSettings(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, k := range policy.Settings() {
		outcome := "used"
		if k.Feature == "" {
			outcome = k.Outcome.String()
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", k.Name, outcome, k.Doc) // Flush tells of errors
	}
	return table.Flush()
}

func writeSettingsJSON(w io.Writer) error {
	var all []annotationJSON
	for _, k := range policy.Settings() {
		all = append(all, annotationOf(k))
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(all)
}

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
)

func annotationsCommand() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "annotations",
		Short: "List the annotations that Ingresses may have",
		Long: "Lists the annotation keys, read under " + policy.Prefix + " and " + policy.NginxPrefix + ",\n" +
			"with what becomes of a bad value: tuning is left out, routing answers 503, a guard fails\n" +
			"closed with 503. All of it is reported as a Problem.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			switch output {
			case "text":
				return writeAnnotations(c.OutOrStdout())
			case "json":
				return writeAnnotationsJSON(c.OutOrStdout())
			case "markdown":
				_, err := io.WriteString(c.OutOrStdout(), policy.Document())
				return err
			}
			return usageError{fmt.Errorf("--output: want text, json or markdown, got %q", output)}
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "text", "`format`: text, json or markdown")
	return c
}

func writeAnnotations(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, k := range policy.Keys() {
		if k.GlobalOnly {
			continue
		}
		what := k.Doc
		if k.Feature == "" {
			what = k.Outcome.String() + ": " + k.Doc
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", k.Name, k.Class, what) // Flush tells of errors
	}
	return table.Flush()
}

// annotationJSON is one key in the output of -o json, of annotations and of settings.
type annotationJSON struct {
	Key         string   `json:"key"`
	Aliases     []string `json:"aliases,omitempty"`
	Supported   bool     `json:"supported"`
	Class       string   `json:"class"`
	Value       string   `json:"value,omitempty"`
	Default     string   `json:"default,omitempty"`
	SpecDefault string   `json:"specDefault,omitempty"`
	Outcome     string   `json:"outcome,omitempty"` // of a key that is not supported
	Doc         string   `json:"doc"`
}

func annotationOf(k policy.KeyDoc) annotationJSON {
	a := annotationJSON{
		Key: k.Name, Aliases: k.Aliases, Supported: k.Feature != "", Class: k.Class.String(), Value: k.Value,
		Default: k.Default, SpecDefault: k.SpecDefault, Doc: strings.TrimSpace(k.Doc),
	}
	if !a.Supported {
		a.Outcome = k.Outcome.String()
	}
	return a
}

func writeAnnotationsJSON(w io.Writer) error {
	var all []annotationJSON
	for _, k := range policy.Keys() {
		if k.GlobalOnly {
			continue
		}
		all = append(all, annotationOf(k))
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(all)
}

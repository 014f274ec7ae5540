package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/k8s/manifest"
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

func checkCommand() *cobra.Command {
	var o options
	var output, against string
	c := &cobra.Command{
		Use:   "check PATH...",
		Short: "Find the mistakes in manifests, with file and line",
		Long: `Find the mistakes in manifests before they are applied.

PATH is a file, a directory, or - for standard input. Every Problem that a running
instance would report for these objects is printed as a line

  FILE:LINE: error|warning: Reason: Kind namespace/name: text

An error is where a route will not do what is written: it is dropped, answers 404 or
503, or has the wrong certificate. What the cluster adds to manifests by itself is no
error: the EndpointSlices of a Service with a selector, a Secret that cert-manager is
asked for, and where there is no IngressClass at all, the classes nginx and fairlead.

With --against the manifests are judged together with what is there, and a line is added
for every route that applying them would make appear, vanish or change. The exit status
is 1 when there are errors, 2 for a wrong command line.`,
		Example: `  fairlead check ./manifests
  kustomize build . | fairlead check -
  helm template shop ./chart | fairlead check - --against ~/.kube/config`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("check: want a file, a directory or - for standard input")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, paths []string) error {
			if output != "text" && output != "json" {
				return usageError{fmt.Errorf("--output: %q is not text or json", output)}
			}
			s := settings{options: o}
			var bad mistakes
			if s.checkTranslation(&bad); len(bad) > 0 {
				return errors.Join(bad...)
			}
			m, err := manifest.Load(paths...)
			if err != nil {
				return err
			}
			if len(m.Snapshot().Ingresses) == 0 {
				// Not an error, but whoever feeds it with nothing should not take the silence for praise.
				fmt.Fprintf(c.ErrOrStderr(), "fairlead: no Ingress in %s: there are no routes to check\n", strings.Join(paths, ", "))
			}
			var live *ingress.Snapshot
			var routes []routeChange
			if against != "" {
				if live, routes, err = compareAgainst(c.Context(), against, m.Snapshot(), s); err != nil {
					return err
				}
			}
			found := checkManifests(m, live, s)
			if against == "" {
				err = printProblems(c.OutOrStdout(), found, output)
			} else {
				err = printComparison(c.OutOrStdout(), found, routes, output)
			}
			if err != nil {
				return err
			}
			if slices.ContainsFunc(found, func(p shownProblem) bool { return p.Severity == ingress.Error.String() }) {
				return errSilent
			}
			return nil
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "text", "`format`: text or json")
	c.Flags().StringVar(&against, "against", "", "also compare with what runs at `place`: the URL of an admin port, a kubeconfig file, or a directory")
	o.registerTranslation(c.Flags())
	return c
}

// checkManifests returns every Problem that an instance would have with m, by place: with m alone, or
// with live once m is applied to it. Of live itself these are the ones that it has not without m.
func checkManifests(m *manifest.Manifests, live *ingress.Snapshot, s settings) []shownProblem {
	var found []shownProblem
	for _, p := range m.Problems() {
		s := show(p.Problem, nil)
		s.File, s.Line = p.File, p.Line
		found = append(found, s)
	}
	find := func(snapshot *ingress.Snapshot) []ingress.Problem { return problemsOf(snapshot, s.translation()) }
	base, problems := m.Snapshot(), []ingress.Problem(nil)
	before := make(map[string]bool)
	if live != nil {
		base = overlay(live, base)
		for _, p := range find(live) {
			before[sameProblem(p)] = true
		}
	} else {
		base, problems = assumeClasses(base, s)
	}
	problems = append(problems, find(base)...)
	later(problems, base, live, find)
	for _, p := range problems {
		if _, _, of := m.Position(p.Object, ""); of || !before[sameProblem(p)] {
			found = append(found, show(p, m.Position))
		}
	}
	slices.SortStableFunc(found, shownProblem.compare)
	return slices.Compact(found)
}

// problemsOf translates and compiles as an instance would.
func problemsOf(snapshot *ingress.Snapshot, o ingress.Options) []ingress.Problem {
	result := ingress.NewTranslator(o).Translate(snapshot)
	pools := upstream.NewRegistry(upstream.Options{})
	defer pools.Close()
	_, conflicts := proxy.New(pools).Compile(result.Config)
	return slices.DeleteFunc(append(result.Problems, ingress.ConflictProblems(conflicts)...), func(p ingress.Problem) bool {
		return p.Reason == ingress.CertificatePending // nothing is ordered here, and that is no mistake
	})
}

// printComparison prints Problems and changed routes: as JSON an object with both.
func printComparison(w io.Writer, found []shownProblem, routes []routeChange, output string) error {
	if output == "json" {
		if found == nil {
			found = []shownProblem{}
		}
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(map[string]any{"problems": found, "routes": routes})
	}
	if err := printProblems(w, found, output); err != nil {
		return err
	}
	for _, r := range routes {
		if _, err := fmt.Fprintln(w, r); err != nil {
			return err
		}
	}
	return nil
}

func printProblems(w io.Writer, found []shownProblem, output string) error {
	if output == "json" {
		if found == nil {
			found = []shownProblem{}
		}
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(found)
	}
	for _, p := range found {
		place := p.File
		if p.Line > 0 {
			place = fmt.Sprintf("%s:%d", p.File, p.Line)
		}
		if place == "" {
			place = "-"
		}
		if _, err := fmt.Fprintf(w, "%s: %s: %s: %s: %s\n", place, p.Severity, p.Reason, p.Object, p.Text); err != nil {
			return err
		}
	}
	return nil
}

# Every target is also a one-line command: see CONTRIBUTING.md.
GO ?= go
LINT_VERSION := v2.15.0
VULNCHECK_VERSION := v1.9.0
LINT := bin/golangci-lint-$(LINT_VERSION)
ARCHS := amd64 arm64
IMAGE ?= fairlead:dev
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X main.version=$(VERSION)
# Modules whose tests need nothing but Go. e2e/cluster needs root.
MODULES := . e2e e2e/ca

.DEFAULT_GOAL := help
.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "%-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## run everything on loopback, with sample backends and no cluster
	$(GO) run ./cmd/fairlead demo

.PHONY: build
build: ## build bin/fairlead for this machine
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/fairlead ./cmd/fairlead

# -count=1: the results of e2e depend on the binary, which the cache of tests does not see.
.PHONY: test
test: ## vet and test; needs no network beyond loopback, no cluster, no root
	for m in $(MODULES); do (cd $$m && $(GO) vet ./...) || exit; done
	$(GO) test ./...
	cd e2e && $(GO) test -count=1 ./...

.PHONY: race
race: ## the same tests, and the binary that they run, under the race detector
	$(GO) test -race -short ./...
	cd e2e && $(GO) test -race -short -count=1 ./...

FUZZTIME ?= 30s
.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (30s)
	.ci/fuzz $(FUZZTIME) $(MODULES)

# One of them at a time: their bounds are for a machine that does nothing else.
.PHONY: soak
soak: ## the tests of what must never happen, with a million requests and bodies of 10 GiB; half an hour
	FAIRLEAD_SOAK=1 $(GO) test -count=1 -v -p 1 -timeout 90m -run 'NeverTwice|Pollution|Unsolicited|RequestsDoNotMix|MemoryIsFlat' \
		./proxy/http1 ./proxy/upstream ./proxy

COUNT ?= 10
.PHONY: microbench
microbench: ## benchmarks of packages, COUNT (10) times each, as benchstat reads them
	$(GO) test -run '^$$' -bench . -benchmem -count $(COUNT) ./...

BENCH ?=
.PHONY: bench
bench: ## the cost of a proxied request beside nginx and HAProxy; BENCH='-rows 1k-64': flags
	cd e2e && $(GO) run ./load $(BENCH)

.PHONY: lint
lint: $(LINT) ## golangci-lint in every module
	for m in $(MODULES); do (cd $$m && $(CURDIR)/$(LINT) run --config $(CURDIR)/.golangci.yml ./...) || exit; done
	cd e2e/cluster && $(CURDIR)/$(LINT) run --config $(CURDIR)/.golangci.yml . ./reach/... # the rest is Kubernetes with a main

.PHONY: fmt
fmt: $(LINT) ## format as lint wants it
	for m in $(MODULES); do (cd $$m && $(CURDIR)/$(LINT) fmt --config $(CURDIR)/.golangci.yml ./...) || exit; done

$(LINT):
	GOBIN=$(CURDIR)/bin/tools $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	mv bin/tools/golangci-lint $@

.PHONY: vuln
vuln: ## known vulnerabilities in what the binary calls; needs the database's host
	$(GO) run golang.org/x/vuln/cmd/govulncheck@$(VULNCHECK_VERSION) ./cmd/fairlead

.PHONY: gen
gen: ## write what is generated
	$(GO) generate ./...

.PHONY: check-gen
check-gen: ## fail when what is generated, go.mod or go.sum is not up to date
	.ci/check-gen $(MODULES)

.PHONY: image
image: $(ARCHS:%=dist/fairlead-linux-%) ## dist/fairlead.oci.tar: an OCI image for each architecture, without a container engine
	cd e2e && $(GO) run ./image/pack -out ../dist/fairlead.oci.tar -name $(IMAGE) -args serve -ports '80/tcp 443/tcp 10254/tcp' \
		-created "$$(git log -1 --format=%cI)" -label created="$$(git log -1 --format=%cI)" -label revision="$$(git rev-parse HEAD)" \
		-label version=$(VERSION) -label title=Fairlead -label licenses=Apache-2.0 \
		-label description='Ingress controller and reverse proxy for Kubernetes' $(foreach a,$(ARCHS),$(a)=../dist/fairlead-linux-$(a))

dist/fairlead-linux-%: FORCE
	CGO_ENABLED=0 GOOS=linux GOARCH=$* $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/fairlead

.PHONY: e2e
e2e: ## tests in a real cluster with nodes; needs root on Linux and what .ci/run installs
	cd e2e/cluster && $(GO) test -count=1 -timeout 60m ./...

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist

.PHONY: FORCE
FORCE:

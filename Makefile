# What a developer types. The work is done by scripts/, which run without make, too.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null)
DATE ?= $(shell git log -1 --format=%cs 2>/dev/null)
LDFLAGS = -s -w -X composer-api/internal/cli.version=$(VERSION) -X composer-api/internal/cli.commit=$(COMMIT) -X composer-api/internal/cli.date=$(DATE)

.PHONY: help build pages test test-quick check golden test-fuzz test-outages test-replicas bench bench-scale bench-bridge simulate simulate-mutants snapshot conformance-matrix fresh-machine clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' Makefile

build: ## the static binary, bin/composer-api
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/composer-api ./cmd/composer-api

pages: ## the scripts of the pages, from web/ to internal/pages/static; needs Node
	@scripts/pages.sh

test: ## every test, real clients included
	@scripts/test.sh

test-quick: ## the Go tests alone, without the race detector, PostgreSQL and the real clients
	@go test -p 6 -vet=off -ldflags='-s -w' ./... # linking is half of the time, and many tests wait; make check vets

check: ## formatting, vet, linters, generated files, import rules, known vulnerabilities
	@scripts/check.sh

golden: ## rewrite the golden files; read the diff before you commit it
	@scripts/golden.sh

test-fuzz: ## every fuzz target, 30 seconds each
	@scripts/fuzz.sh

test-outages: ## a PostgreSQL taken away from running gateways, in each way that databases go away; three minutes
	@scripts/outages.sh

test-replicas: ## 500 clients on three servers that are killed and replaced; three minutes; bench/results/replicas-latest.md
	@scripts/replicas.sh

.PHONY: image
image: ## the container's image, built and run by Buildah with stand-ins for its bases; three minutes; root
	@scripts/image.sh

SOAK_MINUTES ?= 20

.PHONY: soak
soak: ## gateways under one load for SOAK_MINUTES; fails when memory, descriptors, goroutines or the database grow
	@scripts/soak.sh $(SOAK_MINUTES)

# Both may be set: make mutate MUTATE="./internal/agent" MUTATE_FLAGS="-sample 0 -budget 1h"
MUTATE ?= ./internal/agent ./internal/gateway ./internal/gateway/park ./internal/gateway/control ./internal/backend/localagent \
	./internal/api/responses/service ./internal/store/...
MUTATE_FLAGS ?=

mutate: ## small changes of the core's code that no test notices; docs/mutation.md
	@go -C tools build -o ../bin/mutate ./mutate
	@bin/mutate $(MUTATE_FLAGS) $(MUTATE)

# SEED=7 plays one seed again and prints its story; FIRST is where SEEDS begin.
SEEDS ?= 1000
FIRST ?= 1
SEED ?= 0

simulate: ## the whole gateway in one process, on SEEDS seeds, or one SEED again; docs/simulation.md
	@if [ $(SEED) = 0 ]; then scripts/simulate.sh $(SEEDS) $(FIRST); else go test -count=1 -run 'TestSimulate$$' ./internal/simtest -args -seed $(SEED); fi

simulate-mutants: ## faults put into the product on purpose, and the seeds that the simulation needs to find each; slow
	@go -C tools build -o ../bin/simmutants ./simmutants
	@bin/simmutants -dir .

# PEERS="-mock-address 127.0.0.1:9900 -peer name=http://127.0.0.1:4000,PID" adds a gateway that runs already, with the mock as its upstream; ONLY=prompts
# measures one part.
PEERS ?=
ONLY ?=
ROUNDS ?= 5

bench: build ## what the gateway costs, beside a floor, a proxy and nginx; six minutes; docs/speed.md
	@go build -trimpath -o bin/bench ./bench
	@bin/bench -rounds $(ROUNDS) -only "$(ONLY)" $(PEERS)

bench-scale: build ## what it costs with 10,000 parked runs for two minutes, 2,000 streams and prompts of 4 MiB; ten minutes
	@go build -trimpath -o bin/bench ./bench
	@bin/bench -scale -rounds 3 -only "$(ONLY)" $(PEERS)

bench-bridge: ## what Cursor's bridge costs on this machine, as tables; two minutes
	@scripts/bench-bridge.sh

snapshot: ## a release of this commit for all systems, in dist; checked, not published; docs/releasing.md
	@scripts/snapshot.sh

conformance-matrix: ## what was tried with which real client, as docs/conformance.md, from a run of their tests
	@scripts/conformance-matrix.sh

fresh-machine: ## from the binary to a tool loop in OpenCode on an empty Debian, typed as a person would; docs/fresh-machine.md; root
	@scripts/fresh-machine.sh

clean: ## what the other targets made
	rm -rf bin dist

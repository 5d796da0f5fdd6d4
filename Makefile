# What a developer types. The work is done by scripts/, which run without make, too.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)

.PHONY: help build test test-quick check golden test-fuzz test-outages clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

build: ## the static binary, bin/composer-api
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X composer-api/internal/cli.version=$(VERSION)' -o bin/composer-api ./cmd/composer-api

test: ## every test, real clients included
	@scripts/test.sh

test-quick: ## the Go tests alone, without the race detector, PostgreSQL and the real clients
	@go test ./...

check: ## formatting, vet, linters, generated files, import rules, known vulnerabilities
	@scripts/check.sh

golden: ## rewrite the golden files; read the diff before you commit it
	@scripts/golden.sh

test-fuzz: ## every fuzz target, 30 seconds each
	@scripts/fuzz.sh

test-outages: ## a PostgreSQL taken away from running gateways, in each way that databases go away; a minute
	@scripts/outages.sh

clean: ## what the other targets made
	rm -rf bin

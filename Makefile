.PHONY: build test slow fuzz check golden

build: ## the static binary
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o plinth ./cmd/plinth

test: ## the README's test command
	go test ./...

slow: ## longer suites: every resume step, kills, exhaustive sweeps, all peers
	go test -tags slow -timeout 60m ./...

FUZZTIME ?= 30s
fuzz: ## every fuzz target for FUZZTIME
	@go list ./... | while read -r pkg; do \
		go test -list '^Fuzz' $$pkg | grep '^Fuzz' | while read -r f; do \
			echo "== $$pkg $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; done; done

check: ## what CI runs
	.ci/run

golden: ## rewrite the golden files; PYTHON must have tools/golden/requirements.txt
	$(PYTHON) tools/golden/gpt2.py internal/testkit/golden

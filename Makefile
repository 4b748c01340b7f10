.PHONY: build test slow fuzz arm64 check golden web

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
			echo "== $$pkg $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x $$pkg || exit 1; done; done

# Under qemu a test cannot start its own binary again, so TestKilled is left out there.
ARM64 = ./internal/gemm ./internal/vec ./internal/kernel/... ./tensor ./nn ./model/gpt ./generate ./train
arm64: ## tests of all that rests on the arm64 kernels: here when this is arm64, else under qemu, some fifteen minutes
	@if [ "$$(go env GOHOSTARCH)" = arm64 ]; then go test $(ARM64); \
	elif command -v qemu-aarch64-static >/dev/null; then GOARCH=arm64 CGO_ENABLED=0 go test -timeout 60m -exec qemu-aarch64-static -skip '^TestKilled$$' $(ARM64); \
	else echo "arm64: nothing was tested: this machine has no qemu-aarch64-static (Debian: qemu-user-static)" >&2; exit 1; fi

check: ## what CI runs
	.ci/run

golden: ## rewrite the golden files; PYTHON must have tools/golden/requirements.txt
	$(PYTHON) tools/golden/gpt2.py internal/testkit/golden

web: ## the page of plinth serve: serve/web/src into serve/web/dist, with its unit tests (needs node)
	cd serve/web && npm ci --ignore-scripts && npm test && npm run build

# make run    environment, a model trained on drawn images, the service
# make test   environment and every test, and what they cover of the code
# make test-fast  the same without files that start processes or train (tests/conftest.py)
# make check  lint and types (what .ci/run does before the tests)
# make bench  benchmarks of the engines and of the service against others, some 25 minutes
# make lock   write requirements/*.txt anew, with the newest versions that pyproject.toml allows, and test them

PYTHON ?= python3
PORT ?= 8000
PRODUCT ?= carpet
# Where torch comes from, for example PyTorch's CPU index; empty: pip's own setting.
TORCH_INDEX ?=

PIP := .venv/bin/python -m pip --disable-pip-version-check --quiet
MODEL := run/store/$(PRODUCT)/1

export ORT_DISABLE_TELEMETRY := 1
export MALLOC_ARENA_MAX := 2
# Each process that a test starts would compile the project anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test test-fast check bench lock clean
.DELETE_ON_ERROR:

run: $(MODEL)
	@image=$$(ls run/data/$(PRODUCT)/test/*/*.png | grep -v good | head -n 1); \
	printf '\nWhen the service says that it runs, in another terminal:\n\n'; \
	printf '    curl -F file=@%s http://127.0.0.1:$(PORT)/v1/models/$(PRODUCT)/predict\n\n' "$$image"; \
	printf 'To look at it all, in a browser: http://127.0.0.1:$(PORT)/\n'; \
	printf 'What was inspected: http://127.0.0.1:$(PORT)/v1/inspections\n'; \
	printf 'Documentation: http://127.0.0.1:$(PORT)/docs\n\n'
	@exec .venv/bin/python -m app serve --store run/store --records run/records --port $(PORT)

$(MODEL): | .venv/train run/data/$(PRODUCT)
	@echo "Training a model on the drawn images; this takes some minutes, once."
	.venv/bin/python -m training fit --data run/data/$(PRODUCT) --model $(PRODUCT) --store run/store --preset fast

run/data/$(PRODUCT): | .venv/train
	.venv/bin/python -m examples.draw --out run/data --product $(PRODUCT)

PYTEST := .venv/bin/python -m pytest --numprocesses=auto --no-loadscope-reorder

# There are as many tests at once as CPUs: threads of theirs would only wait for each other, in loops that take twice the time.
test test-fast: export OMP_NUM_THREADS := 1

test: .venv/dev
	$(PYTEST) --cov

test-fast: .venv/dev
	$(PYTEST) -m "not slow"

check: .venv/dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

bench: $(MODEL) .venv/dev run/litserve/ready
	.venv/bin/python -m benchmarks.training --data run/data/$(PRODUCT) --json run/bench
	.venv/bin/python -m benchmarks.engines --version $(MODEL) --json run/bench
	.venv/bin/python -m benchmarks.decoding --version $(MODEL) --json run/bench
	.venv/bin/python -m benchmarks.startup --version $(MODEL) --json run/bench
	.venv/bin/python -m benchmarks.service --version $(MODEL) --litserve run/litserve/bin/python --json run/bench
	.venv/bin/python -m benchmarks.plots --json run/bench --out run/bench

# LitServe in an environment of its own; what it doesn't bring (PyTorch, ONNX Runtime) it finds in the project's.
run/litserve/ready: | .venv/dev
	$(PYTHON) -m venv run/litserve
	run/litserve/bin/python -m pip --disable-pip-version-check --quiet install litserve
	.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
	    > "$$(run/litserve/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/project.pth"
	@touch $@

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with PYTHON=…")'
	$(PYTHON) -m venv .venv

.venv/torch: requirements/torch.txt | .venv/bin/python
	@echo "Installing PyTorch (several GB with CUDA; choose a smaller build with TORCH_INDEX=…)"
	$(PIP) install $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) -r requirements/torch.txt
	@touch $@

.venv/train: requirements/train.txt .venv/torch
	$(PIP) install --require-hashes -r requirements/train.txt
	@touch $@

.venv/dev: requirements/dev.txt .venv/torch
	$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

# Extras stay: pip before 23.3 takes `coverage[toml]` for another package than the locked `coverage`, and its newest version.
LOCK := uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
        --no-emit-index-url --no-emit-find-links --no-strip-extras pyproject.toml
lock: | .venv/bin/python
	$(PIP) install uv packaging
	.venv/bin/$(LOCK) --extra fleet --extra parquet --extra ray --extra tracing --extra train --group dev -o requirements/dev.txt
	.venv/bin/$(LOCK) --extra train -c requirements/dev.txt -o requirements/train.txt
	.venv/bin/$(LOCK) --extra client --extra fleet --extra tracing -c requirements/dev.txt -o requirements/serve.txt
	.venv/bin/$(LOCK) --extra client --extra cpu --extra fleet --extra tracing -c requirements/dev.txt -o requirements/serve-cpu.txt
	.venv/bin/python -m tests.support.wheels
	$(MAKE) test

clean:
	rm -rf .venv run

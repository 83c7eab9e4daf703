# Two commands do everything: `make demo` and `make test`. Both need nothing but Python 3.11+ and pip.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test check soak docs clean bench

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(VENV)/.installed  ## run examples/shop and send real orders through it until Ctrl-C
	@$(BIN)/python examples/shop/demo.py

test: $(VENV)/.installed check  ## every check and every test but the long ones
	$(BIN)/pytest -m 'not soak' -n 2 --dist loadfile --cov --cov-report=term:skip-covered

check: $(VENV)/.installed  ## formatting, lint, types, the import contract, generated docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m cloudlet.stack.reference --check docs/reference/file.md docs/reference/cloudlet.schema.json
	$(BIN)/python -m cloudlet.cli.reference --check docs/reference/commands.md

soak: $(VENV)/.installed  ## the long fault and load runs
	$(BIN)/pytest -m soak -s

docs: $(VENV)/.installed  ## write the generated pages again
	$(BIN)/python -m cloudlet.stack.reference docs/reference/file.md docs/reference/cloudlet.schema.json
	$(BIN)/python -m cloudlet.cli.reference docs/reference/commands.md

bench: $(VENV)/.installed  ## the budgets, measured; benchmarks/README.md says what each needs
	$(BIN)/python benchmarks/edge.py
	$(BIN)/python benchmarks/gateway.py
	$(BIN)/python benchmarks/lifecycle.py

clean:
	rm -rf $(VENV)

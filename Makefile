# `make` lists the targets. Most of them first create the environment in .venv, or update it if the lock has changed.
SHELL := /bin/sh
.DEFAULT_GOAL := help

# The first of these two that is Python 3.11; if neither is, uv provides it. To choose: make figures PYTHON=/path
PYTHON ?= $(shell for p in python3.11 python3; do "$$p" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
	2>/dev/null && { echo "$$p"; break; }; done)
# Platforms that requirements.lock has packages for, in the terms of `uname`.
PLATFORMS := Linux-x86_64 Darwin-arm64
PLATFORM ?= $(shell uname -s)-$(shell uname -m)
CORES ?= all
CONFIG ?= config/config.yaml

BIN := .venv/bin
# Named after the lock's content, so that a checkout that only touches the file installs nothing.
STAMP := .venv/.installed-$(shell cksum < requirements.lock | cut -d ' ' -f 1)
SNAKEMAKE := $(BIN)/snakemake --cores $(CORES)
# snakefmt and pre-commit call other tools of the environment by name.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help env figures full quick ablation imagenette voc coco snapshot pages report pull push test faults grid-check paper-scale profile deploying check lock hooks clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | awk -F ':.*## ' '{ printf "  make %-11s %s\n", $$1, $$2 }'

env: $(STAMP) ## create .venv from requirements.lock, every file checked by hash; faster where uv is installed

$(STAMP):
	@case " $(PLATFORMS) " in *" $(PLATFORM) "*) ;; *) echo "make: requirements.lock is for $(PLATFORMS)," \
		"and this is $(PLATFORM): nothing was downloaded; see the README on platforms" >&2; exit 1;; esac
	@if [ -z "$(PYTHON)" ] && ! command -v uv >/dev/null; then \
		echo "make: Python 3.11 is needed, and neither python3.11 nor python3 is one; install it or uv, which" \
		"fetches it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; fi
	@[ -z "$(PYTHON)" ] || "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "make: $(PYTHON) does not run or is not Python 3.11" >&2; exit 1; }
	$(if $(PYTHON),"$(PYTHON)" -m venv .venv,uv venv --python 3.11 --seed --allow-existing .venv)
	$(BIN)/python -m tests.install requirements.lock
	$(BIN)/python -m pip install --no-deps --no-build-isolation -e .
	rm -f .venv/.installed-*
	touch $@

figures: env ## every figure of the embedded default, from scratch
	$(SNAKEMAKE)

full: env ## the default with every seed that its benchmarks list, not only the first
	$(SNAKEMAKE) --configfile config/full.yaml

quick: env ## the same workflow on fewer images, points and epochs
	$(SNAKEMAKE) --configfile config/quick.yaml

ablation: env ## where the gain of our method comes from, on the embedded default
	$(SNAKEMAKE) --configfile config/ablation.yaml

imagenette: env ## real photographs and a pretrained model; downloads 342 MB
	$(SNAKEMAKE) --configfile config/imagenette.yaml

voc: env ## segmentation and detection on PASCAL VOC; downloads 2.4 GB
	$(SNAKEMAKE) --configfile config/voc.yaml

coco: env ## detection on COCO 2017; downloads 21 GB
	$(SNAKEMAKE) --configfile config/coco.yaml

snapshot: env ## copy tables and figures to docs/reference/ (CONFIG=config/imagenette.yaml for that one)
	$(SNAKEMAKE) snapshots --configfile $(CONFIG)

pages: env ## docs/curves.md and docs/method.md again, from the committed snapshots, and figures of tables on pages
	$(BIN)/python -m tests.curves_page
	$(BIN)/python -m tests.method_page
	$(BIN)/python -m tests.drawn

report: env ## the results as one page that a browser opens from the disk: report/index.html (CONFIG=... for another run file)
	$(SNAKEMAKE) --configfile $(CONFIG)
	$(BIN)/python -m sc2 report

SHARED = --config $(CONFIG) $(if $(REMOTE),--remote $(REMOTE)) $(if $(BENCHMARK),--benchmark $(BENCHMARK)) \
	$(if $(METHOD),--method $(METHOD))

pull: env ## fetch shared results and verify them (BENCHMARK=... METHOD=... REMOTE=... CONFIG=... for some)
	$(BIN)/python -m sc2 pull $(SHARED)

push: env ## verify the results and upload them (BENCHMARK=... METHOD=... REMOTE=... CONFIG=... for some)
	$(BIN)/python -m sc2 push $(SHARED)

# One worker more than there are cores, because tests of workflows wait, Slurm's above all. One thread each: the threads of
# two networks on the same cores slow each other down.
test: WORKERS = $$(($$(getconf _NPROCESSORS_ONLN) + 1))
test: env ## run the tests; those on real images need SC2_DATA, see data/README.md
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

faults: env ## damage, kill and starve the project for an hour; docs/reliability.md gets the table (PARTS=... for some)
	$(BIN)/python -m tests.campaign $(PARTS)

grid-check: env ## two steps of every training of the papers' grid; docs/grid-check.md gets the table (ARGS=... for some)
	$(BIN)/python -m tests.grid $(ARGS)

paper-scale: env ## what the papers' grid asks for, as sc2 plan prints it; docs/paper-scale.md gets it
	$(BIN)/python -m tests.paper_scale

deploying: env ## the outputs and tables of docs/deploying.md, from the results that are here (ARGS=... for a part)
	$(BIN)/python -m tests.deploying $(ARGS)

profile: env ## where the time of a run goes, beside other ways to do the same; docs/performance.md gets the tables
	$(BIN)/python -m tests.performance $(ARGS)

CHECKS := check-style check-types check-docstrings check-workflow
.PHONY: $(CHECKS)
check: $(CHECKS) ## lint, format, types, spelling, docstrings, the workflow's files; side by side with make -j

check-style: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check workflow
	$(BIN)/codespell

check-types: env
	$(BIN)/mypy

check-docstrings: env
	$(BIN)/docsig sc2

check-workflow: env
	$(BIN)/snakemake --lint
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema custom.github-workflows-require-timeout .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff

lock: ## pin the dependencies in pyproject.toml and requirements.in (needs uv)
	@command -v uv >/dev/null || { echo "make: uv is needed to resolve the dependencies: pip install uv" >&2; exit 1; }
	uv pip compile --universal pyproject.toml requirements.in --all-extras --python-version 3.11 --generate-hashes --no-annotate --no-header -o requirements.lock
	@echo "Now copy the versions to environment.yml; tests/unit/test_environment.py compares the two."

hooks: env ## install the pre-commit hooks into this clone
	$(BIN)/pre-commit install

clean: ## remove the tools' caches; never results, data or the environment
	rm -rf .pytest_cache .mypy_cache .ruff_cache
	find sc2 tests -name __pycache__ -type d -prune -exec rm -rf {} +

# rnnbio. `make` lists what can be made; README.md says more.
#
# VENV=.venv is made and filled by itself; VENV= (empty) uses the interpreter already active, as on Colab.
VENV    ?= .venv
PROFILE ?= quick
DEVICE  ?= auto
SEED    ?= 0
SCHEDULER ?= $(RNNBIO_SCHEDULER)
PYTHON  ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,$(shell $(p) -c 'import sys; (3, 11) <= sys.version_info[:2] <= (3, 13) or sys.exit(1)' >/dev/null 2>&1 && echo $(p))))

BIN     := $(if $(VENV),$(VENV)/bin/)
READY   := $(if $(VENV),$(VENV),.make)/.ready
OUT     := figures/$(PROFILE)$(if $(filter-out 0,$(SEED)),-seed$(SEED))
NAMES   := $(patsubst nbs/%.ipynb,%,$(wildcard nbs/*/fig*.ipynb))
PAPERS  := $(sort $(patsubst %/,%,$(dir $(NAMES))))
FIGURES := $(NAMES:%=$(OUT)/%.ipynb)

export CUBLAS_WORKSPACE_CONFIG := :4096:8
export RNNBIO_SCHEDULER := $(SCHEDULER)

.DEFAULT_GOAL := help
.PHONY: help figures $(PAPERS) $(NAMES) report test export lab address docs clean FORCE
.SECONDARY:

help:              ## this list
	@echo 'make <target> [PROFILE=quick|paper|full] [DEVICE=auto|cpu|cuda] [SEED=0] [SCHEDULER=tcp://host:8786] [VENV=.venv]'
	@sed -nE 's/^([a-z]+): .*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14
	@printf '  %s\n' 'one paper:  $(PAPERS)' 'one figure: $(NAMES)'

figures: $(FIGURES)   ## every figure, into figures/PROFILE/
	@echo 'figures are in $(OUT)/'

$(foreach p,$(PAPERS),$(eval $(p): $(filter $(OUT)/$(p)/%,$(FIGURES))))
$(NAMES): %: $(OUT)/%.ipynb

report: $(READY)      ## every claim's verdict, into figures/paper/REPORT.md
	@$(BIN)python -m rnnbio.report

test: $(READY)        ## the notebooks' own checks, then pytest
	$(BIN)nbdev_test --n_workers 2 --do_print
	$(BIN)python -m pytest

export: $(READY)      ## notebooks to rnnbio/, and clean them
	$(BIN)nbdev_export
	$(BIN)nbdev_clean

lab: $(READY)         ## open the notebooks in Jupyter
	$(BIN)jupyter lab nbs

address:              ## carry the repository's address from settings.ini into README, notebooks and CITATION
	@slug=$$(sed -nE 's/^(user|repo) = (.*)/\2/p' settings.ini | paste -sd/) && branch=$$(sed -nE 's/^branch = (.*)/\1/p' settings.ini) && \
	sed -i.bak -E "s#(github\.com/|research\.google\.com/github/)[^/ \")]+/rnnbio#\1$$slug#g; s#($$slug)(\.git)?(/blob/|@)[^/\" ]+#\1\2\3$$branch#g" README.md CITATION.cff nbs/*.ipynb nbs/*/*.ipynb && \
	rm -f README.md.bak CITATION.cff.bak nbs/*.bak nbs/*/*.bak && echo "address: $$slug, branch $$branch"

docs: $(READY)        ## a web site of the notebooks (needs quarto)
	@command -v quarto >/dev/null || { echo 'make docs needs quarto (https://quarto.org), which is not on the PATH; the notebooks can be read as they are'; exit 1; }
	$(BIN)nbdev_docs

clean:                ## forget quick figures and build stamps; paper figures and the environment stay
	rm -rf figures/quick* figures/test* .make

# The environment: pinned in a virtual one, as found in one that is already active (pip would replace Colab's own torch otherwise).
$(READY): pyproject.toml constraints.txt
ifneq ($(VENV),)
	@test -n '$(PYTHON)' || { echo 'rnnbio needs Python 3.11, 3.12 or 3.13: install one, or name it: make PYTHON=/path/to/python3.12'; exit 1; }
	@echo 'setting up $(VENV) with $(PYTHON) (once; some minutes)'
	@test -x $(BIN)python || $(PYTHON) -m venv $(VENV)
	@$(BIN)python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
else
	@echo 'adding what is missing to the active Python'
	@python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@mkdir -p .make
endif
	@touch $@

# A figure is made again when its notebook, its paper's claims or the package's content changes (an export alone changes times, not content).
.make/source.sum: FORCE
	@mkdir -p .make
	@find rnnbio nbs -name '*.py' -o -name 'claims.toml' | LC_ALL=C sort | xargs cat | cksum > $@.new; cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(OUT)/%.ipynb: nbs/%.ipynb .make/source.sum | $(READY)
	@mkdir -p $(dir $@) .make/runs/$(dir $*)
	@echo '$* ($(PROFILE))'
	@RNNBIO_QUIET=1 $(BIN)papermill $< .make/runs/$*.ipynb -k python3 -p profile $(PROFILE) -p seed $(SEED) -p device $(DEVICE) -p out $(patsubst %/,%,$(dir $@)) \
		|| { echo 'failed; the notebook up to the error: .make/runs/$*.ipynb'; exit 1; }
	@mv .make/runs/$*.ipynb $@

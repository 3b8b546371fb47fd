# rnnbio. `make` lists what can be made; README.md says more.
#
# VENV=.venv is made and filled by itself; VENV= (empty) uses PYTHON, the interpreter already active, as on Colab.
VENV    ?= .venv
PROFILE ?= quick
DEVICE  ?= auto
SEED    ?= 0
SCHEDULER := $(if $(filter undefined,$(origin SCHEDULER)),$(value RNNBIO_SCHEDULER),$(value SCHEDULER))
PYTHON  ?= $(eval PYTHON := $(or $(call fits,python3),$(call fits,python),$(call fits,python3.13),$(call fits,python3.12),$(call fits,python3.11)))$(PYTHON)
fits     = $(shell $1 -c 'import sys; (3, 11) <= sys.version_info[:2] <= (3, 13) or sys.exit(1)' >/dev/null 2>&1 && echo $1)

# What was asked for is looked at first, by `value`, which does not expand it: make would run $(shell ...) in it.
without = $(if $2,$(call without,$(subst $(firstword $2),,$1),$(wordlist 2,$(words $2),$2)),$1)
refuse  = $(error $1 must be $2, got '$(value $1)')
ifneq ($(words $(value PROFILE))/$(filter quick paper full test,$(value PROFILE)),1/$(value PROFILE))
$(call refuse,PROFILE,one of quick paper full)
endif
ifneq ($(words $(value DEVICE))/$(filter auto cpu cuda,$(value DEVICE)),1/$(value DEVICE))
$(call refuse,DEVICE,one of auto cpu cuda)
endif
ifneq ($(words $(value SEED))/$(call without,$(value SEED),0 1 2 3 4 5 6 7 8 9),1/)
$(call refuse,SEED,a whole number of 0 or more)
endif
ifneq ($(filter-out 0 1,$(words $(value SCHEDULER)))$(findstring $$,$(value SCHEDULER)),)
$(call refuse,SCHEDULER,an address like tcp://host:8786)
endif

# Always this interpreter and its modules: commands on the PATH, and scripts of a folder that was moved, may lead to another.
PY      := $(if $(VENV),$(VENV)/bin/python,$(PYTHON))
READY   := $(if $(VENV),$(VENV),.make)/.ready
KERNEL  := .make/kernels/python3/kernel.json
OUT     := figures/$(PROFILE)$(if $(filter-out 0,$(SEED)),-seed$(SEED))
NAMES   := $(patsubst nbs/%.ipynb,%,$(wildcard nbs/*/fig*.ipynb))
PAPERS  := $(sort $(patsubst %/,%,$(dir $(NAMES))))
FIGURES := $(NAMES:%=$(OUT)/%.ipynb)

export CUBLAS_WORKSPACE_CONFIG := :4096:8
export OMP_WAIT_POLICY := $(or $(OMP_WAIT_POLICY),passive)
export RNNBIO_SCHEDULER := $(SCHEDULER)
export JUPYTER_PATH := $(CURDIR)/.make$(if $(JUPYTER_PATH),:$(JUPYTER_PATH))

.DEFAULT_GOAL := help
.PHONY: help figures $(PAPERS) $(NAMES) report redraw test test-all test-site export pictures lab address site release clean FORCE
.SECONDARY:
.PRECIOUS: $(FIGURES)      # moved into place whole: nothing to delete where make is stopped

help:              ## this list
	@echo 'make <target> [PROFILE=quick|paper|full] [DEVICE=auto|cpu|cuda] [SEED=0] [SCHEDULER=tcp://host:8786] [VENV=.venv] [PYTHON=python3]'
	@sed -nE 's/^([a-z-]+): .*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14
	@printf '  %s\n' 'one paper:  $(PAPERS)' 'one figure: $(NAMES)'

figures: $(FIGURES)   ## every figure, into figures/PROFILE/
	@echo 'figures are in $(OUT)/'

$(foreach p,$(PAPERS),$(eval $(p): $(filter $(OUT)/$(p)/%,$(FIGURES))))
$(NAMES): %: $(OUT)/%.ipynb

report: $(READY)      ## every claim's verdict, into figures/paper/REPORT.md
	@"$(PY)" -m rnnbio report

redraw: $(READY) $(KERNEL)   ## the committed figures and verdicts again from their tables, without training
	"$(PY)" nbs/redraw.py

# Two processes at a time, each with one thread: more would wait for one another.
test: $(READY) $(KERNEL)     ## the notebooks' own checks, then pytest
	OMP_NUM_THREADS=1 "$(PY)" -c 'from nbdev.test import nbdev_test; nbdev_test(n_workers=2, do_print=True)'
	OMP_NUM_THREADS=1 "$(PY)" -m pytest -n 2 --dist worksteal

test-all: export RNNBIO_FUZZ := long
test-all: test               ## and what takes long: thousands of wrong arguments and files, older GPUs
	OMP_NUM_THREADS=1 "$(PY)" -m pytest -n 2 -m slow

export: $(READY)      ## notebooks to rnnbio/, and clean them
	"$(PY)" nbs/export.py

pictures: $(READY) $(KERNEL) ## remake the pictures of the library notebooks
	"$(PY)" nbs/pictures.py

lab: $(READY) $(KERNEL)      ## open the notebooks in Jupyter
	"$(PY)" -m jupyterlab nbs

address:              ## carry the repository's address from settings.ini into texts, notebooks and CITATION
	@slug=$$(sed -nE 's/^(user|repo) = (.*)/\2/p' settings.ini | paste -sd/ -) && branch=$$(sed -nE 's/^branch = (.*)/\1/p' settings.ini) && \
	sed -i.bak -E "s#(github\.com/|research\.google\.com/github/)[^/ \")]+/rnnbio#\1$$slug#g; s#($$slug)(\.git)?(/blob/|@)[^/\" ]+#\1\2\3$$branch#g" *.md CITATION.cff nbs/*.ipynb nbs/*/*.ipynb && \
	rm -f *.bak nbs/*.bak nbs/*/*.bak && echo "address: $$slug, branch $$branch"

site: .make/site.ready       ## a web site of all of it, into _site/html (needs node, for npm)
	NO_COLOR=1 "$(PY)" web/build.py

test-site: site              ## its pages in a browser (needs chromium)
	"$(PY)" -m pytest web

release: $(READY)     ## is this commit one? then the tag's words and an archive of the runs, into _release/
	"$(PY)" nbs/release.py

clean:                ## forget quick figures and build stamps; paper figures and the environment stay
	rm -rf figures/quick* figures/test* _site .make

# The environment: pinned in a virtual one, as found in one that is already active (pip would replace Colab's own torch otherwise).
$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo 'rnnbio needs Python 3.11, 3.12 or 3.13: install one, or name it: make PYTHON=/path/to/python3.12'; exit 1; }
ifneq ($(VENV),)
	@echo 'setting up $(VENV) with $(PYTHON) (once; some minutes)'
	@test -x "$(PY)" || "$(PYTHON)" -m venv $(VENV)
	@"$(PY)" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
else
	@echo 'adding what is missing to $(PYTHON)'
	@"$(PY)" -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@mkdir -p .make
endif
	@touch $@

# The site's own packages; what its pages load comes from npm, once, and lies in web/node_modules.
.make/site.ready: $(READY) web/package-lock.json
	@command -v npm >/dev/null || { echo 'make site needs npm, which comes with node (https://nodejs.org)'; exit 1; }
	@"$(PY)" -m pip install --quiet --disable-pip-version-check $(if $(VENV),-c constraints.txt) -e '.[dev,site]'
	@cd web && npm ci --silent --no-audit --no-fund --ignore-scripts
	@mkdir -p .make && touch $@

# A kernel whose "python" is the one that runs papermill, found before any other of the name.
$(KERNEL):
	@mkdir -p $(dir $@)
	@echo '{"argv": ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "Python 3", "language": "python"}' > $@

# A figure is made again when its notebook, its paper's claims or the package's content changes (an export alone changes times, not content).
.make/source.sum: FORCE
	@mkdir -p .make
	@find rnnbio nbs -name .ipynb_checkpoints -prune -o \( -path 'rnnbio/*.py' -o -name claims.toml \) -print | LC_ALL=C sort | xargs cat | cksum > $@.$$$$; cmp -s $@.$$$$ $@ && rm $@.$$$$ || mv $@.$$$$ $@

$(OUT)/%.ipynb: nbs/%.ipynb .make/source.sum | $(READY) $(KERNEL)
	@mkdir -p $(dir $@) .make/runs/$(dir $*)
	@echo '$* ($(PROFILE))'
	@run=.make/runs/$*-$$$$.ipynb; \
	RNNBIO_QUIET=1 "$(PY)" -m papermill $< $$run -k python3 -p profile $(PROFILE) -p seed $(SEED) -p device $(DEVICE) -p out $(patsubst %/,%,$(dir $@)) \
		|| { test ! -f $$run || echo "failed; the notebook up to the error: $$run"; exit 1; }; \
	"$(PY)" nbs/redraw.py --strip $$run && mv $$run $@

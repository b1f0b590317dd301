# Two commands: `make lab` to learn, `make test` to check. Both build .venv on first use.
PYTHON ?= python3
PORT ?= 8888
BIN := .venv/bin
READY := .venv/.ready
# A folder wheels/ (from `make wheels`) stands in for the internet.
OFFLINE := $(if $(wildcard wheels),--no-index --find-links wheels)
# One thread per process: two notebooks run side by side on two cores, and numbers repeat.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: help lab test fast doctor grade execute times slides wheels bench lock clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*##  *\(.*\)/make \1	\2/p' Makefile | expand -t 14

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "This course needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1)."; \
	  echo "Name a newer one: make PYTHON=python3.12 lab"; exit 1; }
	@echo "Installing into .venv: up to 3 GB to fetch, once. This takes some minutes and says nothing meanwhile."
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --quiet $(OFFLINE) -r requirements.txt
	$(BIN)/python -m pip install --disable-pip-version-check --quiet $(OFFLINE) --no-deps -e .
	@touch $(READY)

lab: $(READY)  ## open JupyterLab at chapter 00 (PORT=8888, BROWSER=none for a server)
	$(BIN)/python -m jupyterlab --config=labconfig/jupyter_lab_config.py --ServerApp.port=$(PORT) \
	  $(if $(filter none,$(BROWSER)),--no-browser)

test: $(READY)  ## everything CI runs: code, exercises, every cell of every notebook
	$(ONE_THREAD) PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.run

fast: $(READY)  ## the tests without the notebooks, for work in progress
	$(ONE_THREAD) $(BIN)/python -m pytest -q -n 2 tests

doctor: $(READY)  ## what is installed, what is missing, what to do about it
	$(BIN)/python -m helpers.doctor

grade: $(READY)  ## mark a folder of notebooks (FROM=SUBMISSIONS OUT=grades.csv)
	$(BIN)/python -m helpers.grade $(FROM) --out $(or $(OUT),grades.csv)

execute: $(READY)  ## run all notebooks and store their outputs (NB=notebooks/03*.ipynb for some)
	$(ONE_THREAD) PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.execute $(NB)

times: $(READY)  ## seconds a chapter and its slowest cell, compared with the README's map
	$(ONE_THREAD) PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.times $(NB)

slides: $(READY)  ## slides/NN_topic.slides.html from the chapters (NB=notebooks/03*.ipynb for some)
	$(BIN)/python -m tests.slides $(NB)

wheels:  ## fetch every package into wheels/: with that folder, `make lab` and `make test` need no internet
	@echo "Installing into .venv: up to 3 GB to fetch, once. This takes some minutes and says nothing meanwhile."
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip download --disable-pip-version-check --quiet -r requirements.txt -d wheels.part
	rm -rf wheels
	mv wheels.part wheels

bench: $(READY)  ## our framework against PyTorch, with 1 and with 2 threads: about a minute, on a quiet machine
	$(BIN)/python benchmarks/numpy_cnn.py

lock: $(READY)  ## write requirements.txt anew from pyproject.toml
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --extra test --no-header --no-annotate \
	  pyproject.toml | grep -Ev '^(nvidia-|cuda-|triton)' > requirements.txt

clean:  ## remove the virtual environment
	rm -rf .venv

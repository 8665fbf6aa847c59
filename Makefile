# `make demo`, `make test` and `make bench` set up everything they need in .venv; they need Python 3.10+, make and git.
VENV   ?= .venv
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test style bench docs site wheel publish-all clean

demo: $(READY)
	mkdir -p demo
	$(BIN)/zoo generate dcgan -n 64 --seed 7 -o demo/dcgan.png
	$(BIN)/zoo generate dcgan.flowers -n 64 --seed 7 -o demo/flowers.png
	$(BIN)/zoo reconstruct conv-ae examples/flowers -o demo/conv-ae
	$(BIN)/zoo reconstruct conv-ae examples/flowers --compare -o demo/conv-ae.png
	$(BIN)/zoo reconstruct srgan examples/flowers/daisy-4757448834.jpg -o demo/srgan.png
	$(BIN)/zoo reconstruct pix2pix examples/facades --compare -o demo/pix2pix.png
	$(BIN)/zoo reconstruct cyclegan examples/landscapes --compare -o demo/cyclegan.png
	@echo "Look at demo/dcgan.png and demo/flowers.png, at demo/conv-ae.png (each photo, then its copy), into demo/conv-ae/, at demo/srgan.png (four times larger), at demo/pix2pix.png (label maps as house fronts), and at demo/cyclegan.png (photos as paintings)."

test: style
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

style: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python -m benchmarks

docs: $(READY)
	$(BIN)/python docs/build.py

# Warnings are errors, which --quiet would hide from --strict. ZOO_SITE_NOTEBOOKS=false leaves out the results of the notebooks, which take most of the time.
site: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[site]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --config-file docs/site/mkdocs.yml
	@echo "Open build/site/index.html."

wheel: $(READY)
	$(BIN)/python -m build

publish-all: $(READY)
	$(BIN)/zoo publish --all

clean:
	rm -rf $(VENV) demo build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info

$(READY): pyproject.toml setup.py
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=/path/to/python")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

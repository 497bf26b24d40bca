# dhow: make, make demo, make test, make bench, make docs, make lint, make install; see each line below

PREFIX  ?= /usr/local
DESTDIR ?=
TARGET  := x86_64-unknown-linux-musl
BINARY  := target/$(TARGET)/release/dhow
CARGO   ?= cargo
RUSTC   ?= rustc

.PHONY: all target build demo test bench docs lint audit fuzz install uninstall clean

all: build

# At a fixed address: nothing is relocated at each start (docs/adr/003-fixed-address.md).
build: export CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS = -C relocation-model=static
build: target ## the static release binary
	$(CARGO) build --release --locked
	@echo "$(BINARY)"

# A toolchain of rustup may lack the target, which shows as `can't find crate for core` (E0463).
target:
	@if [ ! -d "$$($(RUSTC) --print sysroot)/lib/rustlib/$(TARGET)/lib" ]; then \
		if command -v rustup >/dev/null; then rustup target add $(TARGET); \
		else echo "this Rust has no standard library for $(TARGET): install rustup (https://rustup.rs), or the target's package" >&2; \
		exit 1; fi; fi

demo: target ## shows a container from the embedded image, then one from a registry, both without root
	tests/demo.sh

test: target ## all tests, rootless and as root
	tests/run.sh

bench: build ## side by side with the peers that are installed
	tests/bench.sh

docs: target ## man pages and completions, from the command line's own definition
	$(CARGO) build --quiet --locked
	rm -f man/dhow*.1
	target/$(TARGET)/debug/dhow docs .

lint: target ## format, lints, and licences and bans where cargo-deny is installed
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny --offline check bans licenses sources; \
	else echo "cargo-deny is not installed: licences and bans not checked"; fi

audit: ## known advisories about dependencies; fetches the database
	$(CARGO) deny check advisories

fuzz: ## every fuzz target for ten seconds (needs cargo-fuzz and a nightly toolchain)
	for target in $$(cd fuzz/fuzz_targets && ls | sed 's/\.rs$$//'); do \
		$(CARGO) +nightly fuzz run --fuzz-dir fuzz $$target -- -max_total_time=10 || exit 1; done

install: ## into $(DESTDIR)$(PREFIX)
	install -D -m 0755 $(BINARY) $(DESTDIR)$(PREFIX)/bin/dhow
	install -d $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 0644 man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	install -D -m 0644 completions/dhow.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/dhow
	install -D -m 0644 completions/_dhow $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_dhow
	install -D -m 0644 completions/dhow.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/dhow.fish

uninstall: ## what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/dhow
	rm -f $(DESTDIR)$(PREFIX)/share/man/man1/dhow.1 $(DESTDIR)$(PREFIX)/share/man/man1/dhow-*.1
	rm -f $(DESTDIR)$(PREFIX)/share/bash-completion/completions/dhow
	rm -f $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_dhow
	rm -f $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/dhow.fish

clean:
	$(CARGO) clean

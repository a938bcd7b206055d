# make test and make demo work as the first command on a fresh Debian 12: they install what is
# missing (as root, or with sudo), build, and run.

BUILD_PACKAGES := g++ cmake ninja-build pkg-config libssh2-1-dev libssl-dev nlohmann-json3-dev \
  libboost-dev libboost-filesystem-dev libboost-program-options-dev libspdlog-dev libtomlplusplus-dev \
  libsystemd-dev zlib1g-dev libzstd-dev libsqlite3-dev libpq-dev libabsl-dev doctest-dev
TEST_PACKAGES := curl openssl openssh-client openssh-sftp-server libwrap0 libnss-wrapper jq time strace binutils gnupg age \
  python3-pytest python3-pytest-xdist python3-jsonschema zsh fish mandoc man-db
DEB_PACKAGES := dpkg-dev lintian
SYSTEMD_TEST_PACKAGES := debootstrap util-linux iproute2
AIRFLOW_PACKAGES := python3-venv
FUZZ_PACKAGES := clang-19 libclang-rt-19-dev
PAGE_TEST_PACKAGES = $(if $(shell command -v npm),,nodejs npm) chromium
SERVERS_TEST_PACKAGES := util-linux openssl python3-venv
BENCH_PACKAGES := rclone lftp curl
LINT_PACKAGES := clang-format-19 clang-tidy-19
# The build is GCC's: clang-tidy knows neither all of its warnings nor its precompiled headers.
CLANG_TIDY_OPTIONS := -extra-arg=-Wno-unknown-warning-option -extra-arg=-Wno-ignored-gch

PREFIX ?= /usr/local
PYTEST := /usr/bin/python3 -m pytest -q -p no:cacheprovider
CACHE := $(if $(shell command -v ccache),-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
export CCACHE_SLOPPINESS := pch_defines,time_macros
SOURCES = $(shell find include src tests bench -name '*.h' -o -name '*.cpp')

.PHONY: all deps configure build build-all tools demo test test-asan test-tsan asan tsan lint bench docs install deb \
  fuzz test-crash test-hostile test-page test-systemd test-container test-airflow test-airflow-quick test-servers test-postgres \
  test-all clean

all: build

deps: build/.packages
build/.packages: Makefile
	@scripts/install_packages.sh $(BUILD_PACKAGES) $(TEST_PACKAGES)
	@mkdir -p build && touch $@

# What is installed; build-all adds the tests and what these need.
build: configure
	cmake --build --preset release --target ferry manual

build-all: configure
	cmake --build --preset release

configure: deps
	@cmake --preset release $(CACHE) -Wno-dev > build/configure.log || { cat build/configure.log; exit 1; }

demo: build tools
	scripts/demo.sh

# What demo and tests need of packages that would start a service: an SSH server to deliver to, and
# what checks our metrics.
tools: build/tools/sshd build/tools/promtool
build/tools/sshd: | deps
	scripts/extract_program.sh openssh-server /usr/sbin/sshd $@
build/tools/promtool: | deps
	scripts/extract_program.sh prometheus /usr/bin/promtool $@

build/tools/nginx: | deps
	scripts/extract_program.sh nginx /usr/sbin/nginx $@

test: build-all tools
	scripts/check_layers.py
	ctest --test-dir build -j 2 --output-on-failure
	FERRY=build/ferry $(PYTEST) -n 4 tests

# Strikes at every call that changes something, with every kind of fault, and then at random.
CRASH_STORMS ?= 200
test-crash: build-all tools
	FERRY=build/ferry tests/crash/run --report build/crash.txt $(CRASH_OPTIONS)
	FERRY=build/ferry tests/crash/run --report build/storms.txt --storms $(CRASH_STORMS) $(STORM_OPTIONS)

# Each attack for a minute; `make test` makes each for a second.
test-hostile: build-all tools
	FERRY_HOSTILE_SECONDS=60 FERRY=build/ferry $(PYTEST) tests/hostile

# The page in Chromium, with pictures of it in build/page, and uploads by a client of tus.
test-page: build tools
	@scripts/install_packages.sh $(PAGE_TEST_PACKAGES)
	cd tests/page && npm ci --no-audit --no-fund --silent
	FERRY=build/ferry $(PYTEST) tests/page

# Requests that nobody would think of, for FUZZ_SECONDS.
FUZZ_SECONDS ?= 60
FUZZED := $(addprefix src/http/protocol/,connection.cpp message.cpp stream.cpp target.cpp digest_field.cpp base64.cpp)
build/fuzz_http: tests/fuzz/http_requests.cpp $(FUZZED) | build
	@scripts/install_packages.sh $(FUZZ_PACKAGES)
	clang++-19 -std=c++23 -O1 -g -fsanitize=fuzzer,address,undefined -DFMT_SHARED -DSPDLOG_COMPILED_LIB \
	  -DSPDLOG_FMT_EXTERNAL -DSPDLOG_SHARED_LIB -DBOOST_FILESYSTEM_NO_DEPRECATED -Iinclude -Isrc -Itests $^ \
	  build/libferry_base.a -lboost_filesystem -lspdlog -lfmt -lcrypto -o $@
fuzz: build/fuzz_http
	mkdir -p build/fuzz/corpus && cd build/fuzz && ../fuzz_http -max_total_time=$(FUZZ_SECONDS) -timeout=10 \
	  -rss_limit_mb=512 corpus ../../tests/fuzz/corpus

asan tsan: deps
	cmake --preset $@ $(CACHE) -Wno-dev
	cmake --build --preset $@

test-asan: asan tools
	ctest --test-dir build-asan --output-on-failure
	LSAN_OPTIONS=suppressions=$(CURDIR)/tests/lsan.supp:print_suppressions=0 \
	  FERRY=build-asan/ferry FERRY_SANITIZED=1 $(PYTEST) -n 3 tests

test-tsan: tsan tools
	ctest --test-dir build-tsan --output-on-failure

lint: build-all
	@scripts/install_packages.sh $(LINT_PACKAGES)
	scripts/check_layers.py
	clang-format-19 --dry-run -Werror $(SOURCES)
	run-clang-tidy-19 -quiet -p build $(CLANG_TIDY_OPTIONS) '$(CURDIR)/(src|bench)/.*'

# SERVE_BENCH_OPTIONS=--with-sftpgo builds SFTPGo, and measures it as well.
bench: build-all tools build/tools/nginx
	@scripts/install_packages.sh $(BENCH_PACKAGES)
	bench/run $(BENCH_OPTIONS)
	FERRY=build/ferry bench/serve.py $(SERVE_BENCH_OPTIONS)

# docs/configuration.md, from the table of options.
docs: build
	build/ferry_manual configuration.md > docs/configuration.md

install: build
	DESTDIR=$(DESTDIR) cmake --install build --prefix $(PREFIX)

# The package, and what Debian's own check says about it.
deb: build
	@scripts/install_packages.sh $(DEB_PACKAGES)
	rm -f build/ferry_*.deb
	cpack --config build/CPackConfig.cmake > build/cpack.log || { cat build/cpack.log; exit 1; }
	lintian --fail-on error build/ferry_*.deb

# Boots a Debian of its own in namespaces, from build/systemd/; needs root.
test-systemd: deb
	@scripts/install_packages.sh $(SYSTEMD_TEST_PACKAGES)
	$(PYTEST) tests/systemd

# Follows the Containerfile in a tree of Debian's, in build/container/, and runs what it starts; needs root.
test-container: deb
	@scripts/install_packages.sh $(SYSTEMD_TEST_PACKAGES)
	$(PYTEST) tests/container

# Once with each; the environments stay in build/ until what they are to hold changes.
AIRFLOW_VERSIONS ?= 2.10 3
test-airflow: build tools
	@scripts/install_packages.sh $(AIRFLOW_PACKAGES)
	@scripts/install_postgresql.sh
	set -e; for version in $(AIRFLOW_VERSIONS); do \
	  venv=$$(scripts/airflow_environment.sh $$version); \
	  AIRFLOW_VENV=$$venv FERRY=build/ferry $(PYTEST) --durations=3 $(AIRFLOW_TESTS) tests/airflow; \
	done

# Are the DAGs imported, and do they deliver, with the newest Airflow?
test-airflow-quick:
	$(MAKE) test-airflow AIRFLOW_VERSIONS=3 AIRFLOW_TESTS='-k "imported or of_the_time_zone"'

# Against SFTP servers of every kind, fetched and built below build/servers/; needs root, and Go. Another
# Node.js, Maven or Java than Debian's will do.
SERVERS_TOOLCHAINS = $(if $(shell command -v npm),,nodejs npm) \
  $(if $(shell command -v mvn),,maven default-jdk-headless)
# SERVERS="openssh sftpgo" and CASES="cut large_file" choose, SERVERS_OPTIONS=--quick does less of all.
test-servers: build-all tools
	@scripts/install_packages.sh $(SERVERS_TEST_PACKAGES) $(SERVERS_TOOLCHAINS)
	PYTHONPATH=tests /usr/bin/python3 tests/servers/catalogue.py $(SERVERS)
	FERRY=build/ferry $(PYTEST) -n 2 --dist loadgroup tests/servers --tb=short --servers "$(SERVERS)" --cases "$(CASES)" \
	  $(SERVERS_OPTIONS)

# A fleet on PostgreSQL: the contract of the stores, and "AGENTS FILES KILLS" with a real SSH server.
FLEET ?= 32 100000 8
test-postgres: build-all tools
	@scripts/install_postgresql.sh
	cd build && FERRY_REQUIRE_POSTGRESQL=1 ./ferry_metastore_tests
	FERRY_REQUIRE_POSTGRESQL=1 FERRY_FLEET="$(FLEET)" FERRY=build/ferry $(PYTEST) tests/test_fleet.py

test-all: test fuzz test-crash test-hostile test-page test-systemd test-container test-airflow

clean:
	rm -rf build build-debug build-asan build-tsan

#!/usr/bin/env bash
# Installs the rate-limit sidecar for you, shows it at work, tests it, or removes it. Run with --help.
set -euo pipefail

usage() {
  cat <<'END'
usage: ./setup.sh [--project DIR]    install: the command, the daemon, the plugin for OpenCode (or for one project only)
       ./setup.sh --demo [ARG ...]   show a rate limit and its switch on a real OpenCode; installs nothing for you
       ./setup.sh --test             run every check and test, in this checkout only
       ./setup.sh --uninstall        remove everything again; a configuration you changed is kept

Needs Python 3.11 or newer; --demo and --test also npm, to fetch OpenCode. May be repeated. Honours HOME and XDG_*;
PYTHON names the interpreter to use.
END
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

say() { printf '%s\n' "$*"; }
fail() {
  printf 'setup.sh: %s\n' "$*" >&2
  exit 1
}

# An XDG directory: the variable when it is absolute, else the default below HOME.
xdg() { case "${!1:-}" in /*) printf '%s' "${!1}" ;; *) printf '%s' "$HOME/$2" ;; esac }

# The first Python that is new enough.
find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
    if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  fail "Python 3.11 or newer is needed, but there is $(python3 --version 2>&1 || true); install it, or name it: PYTHON=/path/to/python3 ./setup.sh"
}

# A virtual environment at $1, made anew when its Python is gone.
environment() {
  if ! "$1/bin/python" -c '' 2>/dev/null; then
    local interpreter
    interpreter=$(find_python)
    rm -rf "$1"
    mkdir -p "$(dirname "$1")"
    "$interpreter" -m venv "$1" || {
      rm -rf "$1"
      fail "$interpreter cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv"
    }
  fi
}

pip() { "$1/bin/python" -m pip --disable-pip-version-check --quiet "${@:2}"; }

install() {
  local venv command link bin
  [ -z "$1" ] || [ -d "$1" ] || fail "$1 is not a directory"
  venv="$(xdg XDG_DATA_HOME .local/share)/rate-limit-sidecar/venv"
  command="$venv/bin/rate-limit-sidecar"
  bin="$HOME/.local/bin"
  link="$bin/rate-limit-sidecar"
  if [ -e "$link" ] && [ "$(readlink "$link" || true)" != "$command" ]; then
    fail "$link exists and is not ours; move it away and try again"
  fi

  say "Installing the command into $venv …"
  environment "$venv"
  pip "$venv" install --upgrade "$root"
  mkdir -p "$bin"
  ln -sfn "$command" "$link"
  PATH="$PATH:$bin" "$command" install ${1:+--project "$1"}
  "$command" restart
  "$command" status

  say
  case ":$PATH:" in
    *":$bin:"*) ;;
    *)
      say "The command is not on your PATH yet (the plugin finds it anyway). Add this line to your shell's profile:"
      # shellcheck disable=SC2016 # to be expanded by the profile
      say '  export PATH="$HOME/.local/bin:$PATH"'
      ;;
  esac
  say "Next: open OpenCode and code as always; /rate_limit_status shows what the sidecar knows. Settings, all optional:"
  say "  ${RATE_LIMIT_CONFIG:-$(xdg XDG_CONFIG_HOME .config)/opencode/rate-limit.jsonc}"
}

uninstall() {
  local data link
  data="$(xdg XDG_DATA_HOME .local/share)/rate-limit-sidecar"
  link="$HOME/.local/bin/rate-limit-sidecar"
  if [ -x "$data/venv/bin/rate-limit-sidecar" ]; then
    "$data/venv/bin/rate-limit-sidecar" uninstall --purge
  fi
  if [ "$(readlink "$link" || true)" = "$data/venv/bin/rate-limit-sidecar" ]; then
    rm "$link"
  fi
  rm -rf "$data/venv"
  rmdir "$data" 2>/dev/null || true
  say "Everything is removed."
}

demo() {
  local venv="$root/.cache/demo-venv"
  say "Preparing the demo in $root/.cache …"
  environment "$venv"
  pip "$venv" install --upgrade "$root"
  "$venv/bin/rate-limit-sidecar" demo --cache "$root/.cache/opencode" "$@"
}

# Runs one check and remembers whether it failed.
failed=()
check() {
  say
  say "== $1"
  "${@:2}" || failed+=("$1")
}

tests() {
  local venv="$root/.venv" bin="$root/.venv/bin"
  cd "$root"
  command -v npm >/dev/null || fail "npm is needed for the tests; install Node.js"
  say "Preparing the checkout …"
  environment "$venv"
  pip "$venv" install --upgrade 'pip>=25.1'
  pip "$venv" install --editable . --group dev
  (
    cd plugin-shim
    npm install --silent --no-audit --no-fund
    # npm may have refused to run Bun's own script, which puts its executable in place.
    node_modules/.bin/bun --version >/dev/null 2>&1 || node node_modules/bun/install.js
  )
  OPENCODE_BIN=$("$bin/python" -m sidecar.opencode_binary "$root/.cache/opencode")
  export OPENCODE_BIN RATE_LIMIT_REQUIRE_OPENCODE=1
  if ! command -v tmux >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      (apt-get update && apt-get install -y tmux) >/dev/null || say "tmux could not be installed; tests that need it say so"
    else
      say "tmux is not installed; tests that need it say so"
    fi
  fi

  check "ruff check" "$bin/ruff" check .
  check "ruff format" "$bin/ruff" format --check .
  check "mypy" "$bin/mypy"
  check "tsc" npm --prefix plugin-shim run --silent check
  check "plugin tests" npm --prefix plugin-shim run --silent test
  if command -v shellcheck >/dev/null; then
    check "shellcheck" shellcheck setup.sh .ci/run
  else
    say "shellcheck is not installed; skipped"
  fi
  check "tests of the core" "$bin/coverage" run -m pytest -q tests/core
  check "every branch of the core is tested" "$bin/coverage" report --include 'sidecar/core/*' --fail-under 100
  check "all other tests" "$bin/python" -m pytest -q -n 3 --dist worksteal --ignore tests/core

  say
  if [ ${#failed[@]} -gt 0 ]; then
    printf 'failed: %s\n' "${failed[@]}"
    exit 1
  fi
  say "Everything passed."
}

case "${1:-}" in
  "") install "" ;;
  --project)
    [ $# -eq 2 ] || fail "--project needs a directory"
    install "$2"
    ;;
  --demo) demo "${@:2}" ;;
  --test | --uninstall)
    [ $# -eq 1 ] || fail "$1 takes no arguments"
    if [ "$1" = --test ]; then tests; else uninstall; fi
    ;;
  -h | --help) usage ;;
  *)
    usage >&2
    exit 2
    ;;
esac

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by the other scripts: where the project is, which tools answer, how a script reports.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034  # for the scripts that source this
python=$root/.venv/bin/python

# Debian's own tools first: a version manager's python or cmake in front of them would build for another machine.
PATH=/usr/bin:/bin:$PATH
export PATH LC_ALL=C.UTF-8

# The machine the project is sized for; a bigger one may say otherwise.
: "${TRIVIUM_JOBS:=2}"

say() { printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2; }
die() {
  say "$*"
  exit 1
}

# usage_if_asked "$@": prints the comment block at the head of the calling script and exits.
usage_if_asked() {
  case "${1-}" in
    -h | --help)
      sed -n '/^# SPDX/d; /^#!/d; /^#/!q;  s/^# \{0,1\}//p' "$0"
      exit 0
      ;;
  esac
}

# missing_packages PYTHON LIST...: the requirements of the lists (NAME==VERSION a line) that the environment of PYTHON
# lacks or has in another version, a line each. Asks the environment, so that nothing needs to be remembered.
missing_packages() {
  local environment_python=$1
  shift
  "$environment_python" - "$@" <<'PY'
import importlib.metadata
import sys

for path in sys.argv[1:]:
    for line in open(path, encoding="utf-8"):
        requirement = line.strip()
        if not requirement or requirement.startswith("#"):
            continue
        name, _, version = requirement.partition("==")
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found = None
        if found != version:
            print(requirement)
PY
}

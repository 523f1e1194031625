# shellcheck shell=bash
# What the launchers share: flags, plain errors, and commands that --dry_run shows and does not run.

dry_run=false
rest=()

# Ends with one line: fail MESSAGE [EXIT CODE]
fail() {
  echo "launch/${0##*/}: $1" >&2
  exit "${2:-1}"
}

# Reads --NAME=VALUE up to the first other argument; the rest is in `rest`: flags "NAMES" "$@"
# A flag whose variable is `false` takes no value.
flags() {
  local known="$1 dry_run" flag
  shift
  while [[ ${1-} == --* ]]; do
    flag=${1#--}
    flag=${flag%%=*}
    if [ "$flag" = help ]; then usage; fi
    [[ " $known " == *" $flag "* ]] || fail "unknown flag --$flag; there are --${known// / --}" 2
    if [ "${!flag}" = false ]; then
      [ "$1" = "--$flag" ] || fail "--$flag takes no value" 2
      printf -v "$flag" true
    else
      [[ $1 == *=?* ]] || fail "--$flag expects a value: --$flag=..." 2
      printf -v "$flag" %s "${1#*=}"
    fi
    shift
  done
  rest=("$@")
}

# Prints the comment that a script begins with.
usage() {
  sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
  exit 0
}

# Refuses a flag that was not given: need NAME EXAMPLE
need() {
  [ -n "${!1}" ] || fail "--$1 is missing, e.g. --$1=$2" 2
}

# Refuses a value that is no whole number of at least so much: number NAME LEAST
number() {
  [[ ${!1} =~ ^(0|[1-9][0-9]{0,8})$ ]] && [ "${!1}" -ge "$2" ] ||
    fail "--$1=${!1}: expected a whole number from $2 on" 2
}

# Reads the gan_jax command in `rest`; sets `workdir`, and `name` if that is empty.
job() {
  local argument
  workdir=
  case ${rest[0]-} in
    train | evaluate | sample) ;;
    *) fail "expected a gan_jax command behind the flags, e.g. train --config=FILE --workdir=DIR" 2 ;;
  esac
  for argument in "${rest[@]}"; do
    if [[ $argument == --workdir=?* ]]; then workdir=${argument#*=}; fi
  done
  [ -n "$workdir" ] || fail "the command has no --workdir=DIR, which names the run" 2
  if [ -z "${name-}" ]; then name=$(job_name "$workdir"); fi
}

# Makes a name that every engine takes of the last two folders of a path.
job_name() {
  local path=${1%/} parent
  parent=${path%/*}
  [ "$parent" = "$path" ] || path=${parent##*/}-${path##*/}
  path=$(printf %s "$path" | tr '[:upper:]' '[:lower:]' | tr -cs '[:alnum:]' '-')
  path=${path:0:40}
  path=${path#-}
  printf 'gan-%s' "${path%-}"
}

# Quotes words for a shell, only where it is needed.
quoted() {
  local word words=()
  for word in "$@"; do
    if [[ $word =~ ^[A-Za-z0-9_./:=,@%+-]+$ ]]; then words+=("$word"); else words+=("${word@Q}"); fi
  done
  printf '%s' "${words[*]}"
}

# Runs a command, or prints it.
run() {
  if "$dry_run"; then
    quoted "$@"
    echo
  else
    "$@"
  fi
}

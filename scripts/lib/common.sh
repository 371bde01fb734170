# Shared by scripts/quickstart and scripts/check. To be sourced by bash, with $root set to the
# source tree.
# shellcheck shell=bash
# shellcheck disable=SC2154

PATH=$PATH:/usr/sbin:/sbin
export PATH
unset CDPATH MAKEFLAGS
began=$SECONDS

# say TEXT: a line of progress, with the seconds since the start.
say()
{
	printf '[%3d s] %s\n' $((SECONDS - began)) "$*"
}

# die TEXT: the end, with a reason.
die()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# show_log FILE [LINES]: where the log is, and how it ends.
show_log()
{
	[ -s "$1" ] || return 0
	printf -- '--- the last lines of %s:\n' "$1"
	tail -n "${2:-20}" "$1"
	printf -- '---\n'
}

# lock_tree: one build at a time in this source tree, whoever runs it. The lock is on the folder
# itself, so that no lock file stays; unlock_tree opens it.
lock_tree()
{
	exec 8<"$root"
	flock -n 8 && return
	say "another build runs in this tree: waiting for it"
	flock 8
}

unlock_tree()
{
	exec 8<&-
}

# run_job COMMAND...: runs it in a process group of its own, so that a signal to this script is
# acted upon at once: its trap calls end_job, which ends the whole group.
job=''
run_job()
{
	local status
	set -m
	"$@" &
	job=$!
	set +m
	wait "$job"
	status=$?
	job=''
	return $status
}

end_job()
{
	[ -n "$job" ] || return 0
	kill -TERM -- "-$job" 2>/dev/null
	wait "$job" 2>/dev/null
	job=''
}

# build DIRECTORY LOG [configure's arguments...]: builds out of tree, with the tree locked.
# DIRECTORY is relative to the tree.
build()
{
	local directory=$root/$1 log=$2
	shift 2
	mkdir -p "$directory" || return 1
	(
		set -e
		exec 8<&-
		cd "$root"
		if [ ! -x configure ] || [ ! -e Makefile.in ]; then
			mkdir -p m4
			autoreconf -i
		fi
		cd "$directory"
		# Configured before a library or a test framework was installed: once more.
		if [ ! -e Makefile ] || { grep -q 'HAVE_CRITERION_TRUE"\]="#"' config.status &&
			pkg-config --exists criterion; }; then
			"$(realpath --relative-to=. "$root")/configure" "$@"
		fi
		make -j"$(nproc)"
	) </dev/null >"$log" 2>&1
}

# install_packages GROUP...: see scripts/packages; quiet when nothing is missing.
install_packages()
{
	local missing
	missing=$("$root/scripts/packages" --list "$@" | tr '\n' ' ')
	[ -n "$missing" ] || return 0
	say "installing packages: $missing"
	"$root/scripts/packages" "$@"
}

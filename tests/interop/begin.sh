# How each suite begins, with WORK-FOLDER and TXTGATE-BINARY as its arguments: what all of them use, and their end. Sourced
# first, as the first thing in a network, mount and process namespace of the suite's own.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$1 binary=$2
export TMPDIR=$work/tmp # what a client forgets goes with the work folder
mkdir "$TMPDIR"
. "$here/lib.sh"
trap 'conclude || exit 1' EXIT
. "$here/lab.sh"

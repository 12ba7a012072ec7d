#!/bin/sh
# The first process of every run and the leader of its session:
#   launch.sh <run folder> [<control group> [<folder> <program> <argument> [<gate.bash>]]]
#
# Descriptors: 1 the run's standard output, 2 what this shell itself has to say, 3 the gate, 4 the lifeline (a lock that
# lasts as long as any process of the run keeps it open), 5 the run's standard error.
#
# The gate brings one line each: job id, attempt, scheduled instant, folder, program, argument, and last "go". It is
# written only after the claim is durable. If it ends before that line the daemon is gone, and nothing may run.
#
# Descriptor 2 is apart because shells report a death by signal there and only there: the status 137 alone may also
# be an exit code. The exit file is one short write that ends in a newline, so a reader can tell a torn one.
#
# It enters the control group by itself, because the kernel may take 20 ms for that: they pass while the gate is closed.
# So may the job's program be started ahead, in its folder: it waits at the gate by itself, or, if it is bash, in gate.bash.
run=$1
[ -z "$2" ] || { echo 0 >"$2/cgroup.procs"; } 2>/dev/null
order() {
  IFS= read -r HERMES_SUPERVISOR_JOB_ID && IFS= read -r HERMES_SUPERVISOR_ATTEMPT &&
    IFS= read -r HERMES_SUPERVISOR_SCHEDULED_AT && IFS= read -r folder && IFS= read -r program &&
    IFS= read -r argument && IFS= read -r go && [ "$go" = go ]
}
trap : TERM INT HUP
# The job's own process is made here and waits at the gate itself, so that nothing is left to start when it opens.
(
  if [ -n "$5" ] && cd -- "$3" 2>/dev/null; then
    export HERMES_SUPERVISOR_WAITS_FOR="$5"
    [ -z "$6" ] || export BASH_ENV="$6"
    exec "$4" "$5" 2>&5 5>&- </dev/null
  fi
  order <&3 || exit 0
  : >"$run/started" || exit 0
  exec 3<&-
  export HERMES_SUPERVISOR_JOB_ID HERMES_SUPERVISOR_ATTEMPT HERMES_SUPERVISOR_SCHEDULED_AT
  cd -- "$folder" && exec "$program" "$argument" 2>&5 5>&- </dev/null
)
status=$?
[ -e "$run/started" ] || exit 0
echo "$status" >"$run/exit"
exit "$status"

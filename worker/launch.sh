#!/bin/sh
# The first process of every run and the leader of its session:
#   launch.sh <run folder> [<control group> [<folder> <program> <argument> <gate.bash or ->]]
#
# Descriptors: 1 the run's standard output, 2 what this shell itself has to say, 3 the gate, 4 the lifeline (a lock that
# lasts as long as any process of the run keeps it open), 5 the run's standard error.
#
# The gate brings one line each: job id, attempt, scheduled instant, folder, program, argument, and last "go", but without folder,
# program and argument when they are those above. It is written only after the claim is durable. If it ends before its last
# line the daemon is gone, and nothing may run.
#
# Descriptor 2 is apart because shells report a death by signal there and only there: the status 137 alone may also
# be an exit code. The exit file is one short write that ends in a newline, so a reader can tell a torn one.
#
# It enters the control group by itself, because the kernel may take 20 ms for that: they pass while the gate is closed.
# So may the job's program be started ahead, in its folder: it waits at the gate by itself, or, if it is bash, in gate.bash. Which
# of the two has to be said: a program that was taken to wait and does not would run a job that nobody has claimed.
# Its variables have names that a job's environment does not have: what is set there stays as it was.
hermes_supervisor_run=$1 hermes_supervisor_folder=$3 hermes_supervisor_program=$4 hermes_supervisor_argument=$5
[ -z "$2" ] || { echo 0 >"$2/cgroup.procs"; } 2>/dev/null
order() {
  IFS= read -r HERMES_SUPERVISOR_JOB_ID && IFS= read -r HERMES_SUPERVISOR_ATTEMPT &&
    IFS= read -r HERMES_SUPERVISOR_SCHEDULED_AT && IFS= read -r hermes_supervisor_go && {
    { [ "$hermes_supervisor_go" = go ] && [ -n "$hermes_supervisor_program" ]; } || {
      hermes_supervisor_folder=$hermes_supervisor_go
      IFS= read -r hermes_supervisor_program && IFS= read -r hermes_supervisor_argument &&
        IFS= read -r hermes_supervisor_go && [ "$hermes_supervisor_go" = go ]
    }
  }
}
trap : TERM INT HUP
# The job's own process is made here and waits at the gate itself, so that nothing is left to start when it opens.
(
  if [ -n "$6" ] && cd -- "$3" 2>/dev/null; then
    export HERMES_SUPERVISOR_WAITS_FOR="$5"
    [ "$6" = - ] || export BASH_ENV="$6"
    exec "$4" "$5" 2>&5 5>&- </dev/null
  fi
  order <&3 || exit 0
  : >"$hermes_supervisor_run/started" || exit 0
  exec 3<&-
  export HERMES_SUPERVISOR_JOB_ID HERMES_SUPERVISOR_ATTEMPT HERMES_SUPERVISOR_SCHEDULED_AT
  cd -- "$hermes_supervisor_folder" &&
    exec "$hermes_supervisor_program" "$hermes_supervisor_argument" 2>&5 5>&- </dev/null
)
hermes_supervisor_status=$?
[ -e "$hermes_supervisor_run/started" ] || exit 0
echo "$hermes_supervisor_status" >"$hermes_supervisor_run/exit"
exit "$hermes_supervisor_status"

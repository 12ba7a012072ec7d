# What a bash that is started ahead of its job reads first (as BASH_ENV): it waits here at the gate, its script unread.
#
# Loading bash costs more than most of what scripts do, so it is done before the job is due. The gate is the one of
# launch.sh and brings the same lines, but without folder, program and argument when they are what bash was started with:
# $PWD, $BASH and $HERMES_SUPERVISOR_WAITS_FOR. When it ends before "go" nothing may run, and status 79 says so.
{
  IFS= read -r HERMES_SUPERVISOR_JOB_ID && IFS= read -r HERMES_SUPERVISOR_ATTEMPT &&
    IFS= read -r HERMES_SUPERVISOR_SCHEDULED_AT && IFS= read -r hermes_supervisor_go && {
    [ "$hermes_supervisor_go" = go ] || {
      hermes_supervisor_folder=$hermes_supervisor_go
      IFS= read -r hermes_supervisor_program && IFS= read -r hermes_supervisor_argument &&
        IFS= read -r hermes_supervisor_go && [ "$hermes_supervisor_go" = go ]
    }
  }
} <&3 2>/dev/null || exit 79
# This process keeps the environment that it was born with, which names no job: who looks for a job's processes reads it here.
printf '%s\n' "$HERMES_SUPERVISOR_JOB_ID" 2>/dev/null >"$HERMES_SUPERVISOR_RUN_DIR/started" ||
  [ -e "$HERMES_SUPERVISOR_RUN_DIR/started" ] || exit 79
exec 3<&-
export HERMES_SUPERVISOR_JOB_ID HERMES_SUPERVISOR_ATTEMPT HERMES_SUPERVISOR_SCHEDULED_AT
unset BASH_ENV
if [ -n "$hermes_supervisor_program" ] || ! [ . -ef "$PWD" ]; then
  : "${hermes_supervisor_folder:=$PWD}" "${hermes_supervisor_program:=$BASH}"
  : "${hermes_supervisor_argument:=$HERMES_SUPERVISOR_WAITS_FOR}"
  unset HERMES_SUPERVISOR_WAITS_FOR
  cd -- "$hermes_supervisor_folder" && exec "$hermes_supervisor_program" "$hermes_supervisor_argument"
  exit
fi
# The script finds the shell as if it had just been started.
unset HERMES_SUPERVISOR_WAITS_FOR hermes_supervisor_go
SECONDS=0
: "$BASH"

echo "where" >> "$HERMES_HOME/runs.log"
echo "in ${PWD#"$HERMES_HOME"} with $# arguments, input $(wc -c)"
echo "mine=${MINE-none} token=${MY_TOKEN-none} key=${OPENAI_API_KEY-none} session=${HERMES_CRON_SESSION-none}"

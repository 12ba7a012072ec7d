echo "killed" >> "$HERMES_HOME/runs.log"
echo before
kill -9 $$

echo "quiet" >> "$HERMES_HOME/runs.log"
printf '  \n\n'

echo "latin" >> "$HERMES_HOME/runs.log"
printf 'caf\351\n'

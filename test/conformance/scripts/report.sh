echo "report" >> "$HERMES_HOME/runs.log"
echo 'all is well'

echo "asleep" >> "$HERMES_HOME/runs.log"
echo 'nothing new'
echo '{"wakeAgent": false}'

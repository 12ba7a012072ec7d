echo start >> "$HERMES_HOME/slow.log"
while [ -d "$HERMES_HOME" ] && [ ! -e "$HERMES_HOME/go" ]; do sleep 0.05; done
echo done

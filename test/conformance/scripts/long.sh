echo "long" >> "$HERMES_HOME/runs.log"
for ((i = 0; i < 6000; i++)); do echo "line $i of a long report"; done

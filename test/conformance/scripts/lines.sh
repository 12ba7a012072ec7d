echo "lines" >> "$HERMES_HOME/runs.log"
printf '\357\273\277one\r\ntwo\rthree\033[31m red\033[0m\302\205\n'

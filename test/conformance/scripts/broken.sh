echo "broken" >> "$HERMES_HOME/runs.log"
echo 'half done'
echo 'no space left' >&2
exit 3

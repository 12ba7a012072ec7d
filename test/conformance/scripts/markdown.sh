echo "markdown" >> "$HERMES_HOME/runs.log"
printf '\n# Grüße ☕\n\n---\n| a | b |\n* \\n 日本語\u00a0 \n\n'

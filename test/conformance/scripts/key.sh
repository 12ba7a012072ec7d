echo "key" >> "$HERMES_HOME/runs.log"
echo 'token ghp_abcdefghijklmnopqrstuvwxyz0123456789 and sk-proj-abcdefghijklmnopqrstuvwxyz0123456789'
echo 'Authorization: Bearer abcdefghijklmnop.qrstuvwxyz'

export const shells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof shells)[number];

/** What a shell reads once, so that it asks `hermes-supervisor __complete` at each Tab. */
export const completionScripts: Readonly<Record<Shell, string>> = {
  bash: `# For ~/.bashrc: source <(hermes-supervisor completion bash)
_hermes_supervisor() {
  local -a words=()
  local rest="\${COMP_LINE#*"\${COMP_WORDS[0]}"}" word begun quoted candidate index
  # Readline parts words at ":" and "=", too: those that no blank parts are one.
  for ((index = 1; index <= COMP_CWORD; index++)); do
    word="\${COMP_WORDS[index]}"
    if [[ $rest == [[:blank:]]* || \${#words[@]} -eq 0 ]]; then
      rest="\${rest#"\${rest%%[![:blank:]]*}"}"
      words+=("$word")
    else
      words[\${#words[@]}-1]+="$word"
    fi
    rest="\${rest:\${#word}}"
  done
  local typed="\${words[\${#words[@]}-1]}"
  begun="$typed"
  [[ $word == [:=]* ]] || begun="\${typed%"$word"}"
  COMPREPLY=()
  while IFS=$'\\t' read -r candidate _; do
    if [[ $candidate == ":files" ]]; then
      compopt -o default 2>/dev/null
    elif [[ $typed == [\\"\\']* ]]; then
      COMPREPLY+=("$candidate")
    else
      quoted="$(printf '%q' "$candidate")"
      # Only what stands behind the last ":" or "=" is put in.
      [[ $quoted != "$begun"* ]] || COMPREPLY+=("\${quoted#"$begun"}")
    fi
  done < <("$1" __complete -- "\${words[@]}" 2>/dev/null)
}
complete -F _hermes_supervisor hermes-supervisor
`,
  zsh: `#compdef hermes-supervisor
# For ~/.zshrc, behind compinit: source <(hermes-supervisor completion zsh)
_hermes_supervisor() {
  local -a values shown
  local line
  for line in "\${(@f)$("\${words[1]}" __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    if [[ $line == ":files" ]]; then
      compset -P '--*='
      _files
      return
    fi
    [[ -n $line ]] || continue
    values+=("\${line%%$'\\t'*}")
    shown+=("\${line/$'\\t'/  }")
  done
  (( \${#values} )) && compadd -l -d shown -a values
}
if [[ \${funcstack[1]} == _hermes_supervisor ]]; then
  _hermes_supervisor "$@"
else
  compdef _hermes_supervisor hermes-supervisor
fi
`,
  fish: `# For ~/.config/fish/completions/hermes-supervisor.fish
function __hermes_supervisor_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l found ($words[1] __complete -- $words[2..-1] "$typed" 2>/dev/null)
    if contains -- :files $found
        set -l option (string match -r -- '^--[a-z]+=' "$typed"; or echo)
        printf '%s\\n' $option(__fish_complete_path (string replace -- "$option" '' "$typed"))
    else
        printf '%s\\n' $found
    end
end
complete -c hermes-supervisor -f -a '(__hermes_supervisor_complete)'
`,
};

export const shells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof shells)[number];

/** What a shell reads once, so that it asks `hermes-supervisor __complete` at each Tab. */
export const completionScripts: Readonly<Record<Shell, string>> = {
  bash: `# For ~/.bashrc: source <(hermes-supervisor completion bash)
_hermes_supervisor() {
  local typed="\${COMP_WORDS[COMP_CWORD]}" candidate
  COMPREPLY=()
  while IFS=$'\\t' read -r candidate _; do
    if [[ $candidate == ":files" ]]; then
      compopt -o default 2>/dev/null
    elif [[ $typed == [\\"\\']* ]]; then
      COMPREPLY+=("$candidate")
    else
      COMPREPLY+=("$(printf '%q' "$candidate")")
    fi
  done < <("$1" __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
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
        __fish_complete_path "$typed"
    else
        printf '%s\\n' $found
    end
end
complete -c hermes-supervisor -f -a '(__hermes_supervisor_complete)'
`,
};

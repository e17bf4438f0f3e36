/** `completion`: what a shell needs to complete this command; kubectl needs `kubectl_complete-memflow` besides, which asks the same. */
import type { CommandSession } from "../cli/command-session.ts";
import { CommandError, EXIT_CODES } from "../exit-codes.ts";

const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `_memflow() {
  local words
  mapfile -t words < <("\${COMP_WORDS[0]}" __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | grep -v '^:' | cut -f1)
  mapfile -t COMPREPLY < <(compgen -W "\${words[*]}" -- "\${COMP_WORDS[COMP_CWORD]}")
}
complete -o default -F _memflow memflow kubectl-memflow`,
  zsh: `#compdef memflow kubectl-memflow
_memflow() {
  local -a found
  found=("\${(@f)$("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null | grep -v '^:' | sed 's/:/\\\\:/g; s/\\t/:/')}")
  _describe 'memflow' found
}
compdef _memflow memflow kubectl-memflow`,
  fish: `function __memflow_complete
  set -l words (commandline -opc) (commandline -ct)
  $words[1] __complete $words[2..] 2>/dev/null | string match -v ':*'
end
complete -c memflow -f -a '(__memflow_complete)'
complete -c kubectl-memflow -f -a '(__memflow_complete)'`,
};

/** Prints the script. */
export async function completion({ printer }: CommandSession, shell: string): Promise<number> {
  const script = SCRIPTS[shell];
  if (script === undefined) {
    throw new CommandError(
      EXIT_CODES.usage,
      `no completion for "${shell}": it takes ${Object.keys(SCRIPTS).join(", ")}`,
    );
  }
  printer.line(script);
  return EXIT_CODES.done;
}

#include <array>

#include "app/manual/completion.h"

namespace ferry::app {
namespace {

constexpr std::string_view kBash = R"sh(# bash completion for ferry
_ferry() {
  local cur=${COMP_WORDS[COMP_CWORD]} word
  [[ $cur == "=" ]] && cur=""
  COMPREPLY=()
  while IFS=$'\t' read -r word _; do
    case $word in
      /file | /directory)
        compopt -o filenames 2> /dev/null
        mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -A "${word:1}" -- "$cur")
        ;;
      *) COMPREPLY+=("$(printf %q "$word")") ;;
    esac
  done < <("${COMP_WORDS[0]}" complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2> /dev/null)
}
complete -F _ferry ferry
)sh";

constexpr std::string_view kZsh = R"sh(#compdef ferry
_ferry() {
  local line ret=1
  local -a answer words_found
  answer=(${(f)"$(_call_program words ${(q)words[1]} complete ${(q)words[2,CURRENT]} 2> /dev/null)"})
  [[ $PREFIX == --*=* ]] && compset -P 1 '*='
  for line in $answer; do
    case $line in
      /file) _files && ret=0 ;;
      /directory) _files -/ && ret=0 ;;
      *$'\t'*) words_found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
      *) words_found+=("${line//:/\\:}") ;;
    esac
  done
  (( $#words_found )) && _describe -t words ferry words_found && ret=0
  return ret
}
_ferry "$@"
)sh";

constexpr std::string_view kFish = R"sh(# fish completion for ferry
function __ferry_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l flag (string match -r -- '^--[^=]*=' $words[-1])
    set -l value (string replace -r -- '^--[^=]*=' '' $words[-1])
    for line in (command $words[1] complete $words[2..] 2> /dev/null)
        switch $line
            case /file
                set line (__fish_complete_path $value)
            case /directory
                set line (__fish_complete_directories $value)
        end
        for word in $line
            echo "$flag$word"
        end
    end
end
complete -c ferry -f -a '(__ferry_complete)'
)sh";

}  // namespace

std::span<const CompletionScript> completion_scripts() {
  static constexpr std::array<CompletionScript, 3> kScripts{
      {{"bash", kBash}, {"zsh", kZsh}, {"fish", kFish}}};
  return kScripts;
}

}  // namespace ferry::app

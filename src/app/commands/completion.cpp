#include <fmt/ranges.h>

#include <algorithm>

#include "app/commands/command.h"
#include "app/config/text.h"
#include "app/manual/completion.h"
#include "app/output.h"

namespace ferry::app {
namespace {

Outcome<ExitStatus> run_completion(const Invocation& invocation) {
  const std::string& shell = invocation.arguments.positional.front();
  std::vector<std::string_view> known;
  for (const CompletionScript& script : completion_scripts()) known.push_back(script.shell);
  const auto found = std::ranges::find(completion_scripts(), shell, &CompletionScript::shell);
  if (found == completion_scripts().end()) {
    return fail(make_error(ErrorKind::kInvalid, "unknown shell '{}': choose {}{}", shell,
                           fmt::join(known, ", "), suggestion(shell, known)));
  }
  print(found->text);
  return ExitStatus::kDone;
}

}  // namespace

Command completion_command() {
  return {.name = "completion",
          .bit = kCompletionBit,
          .summary = "print what makes a shell complete ferry's command lines",
          .positional = "bash|zsh|fish",
          .min_positional = 1,
          .max_positional = 1,
          .description =
              "Where ferry was not installed by a package:\n\n"
              "bash   source <(ferry completion bash)\n"
              "zsh    ferry completion zsh > ~/.zfunc/_ferry, with ~/.zfunc in fpath\n"
              "fish   ferry completion fish > ~/.config/fish/completions/ferry.fish",
          .flags = {},
          .exits = {{ExitStatus::kDone},
                    {ExitStatus::kSomeFailed, kInputOutputFailed},
                    {ExitStatus::kUsage}},
          .run = &run_completion};
}

}  // namespace ferry::app

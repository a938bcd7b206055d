#include <array>

#include "app/commands/command.h"
#include "app/config/text.h"
#include "app/manual/completion.h"
#include "app/output.h"

namespace ferry::app {
namespace {

constexpr std::array<std::string_view, 3> kShells{"bash", "zsh", "fish"};

Outcome<ExitStatus> run_completion(const Invocation& invocation) {
  const std::string& shell = invocation.arguments.positional.front();
  const auto script = completion_script(shell);
  if (!script) {
    return fail(make_error(ErrorKind::kInvalid, "unknown shell '{}': choose bash, zsh or fish{}",
                           shell, suggestion(shell, kShells)));
  }
  print(*script);
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

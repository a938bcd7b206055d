#include <array>

#include "app/commands/command.h"
#include "app/config/text.h"
#include "app/manual/completion.h"
#include "app/output.h"

namespace ferry::app {
namespace {

constexpr std::array<std::string_view, 2> kShells{"bash", "zsh"};

Outcome<ExitStatus> run_completion(const Invocation& invocation) {
  const std::string& shell = invocation.arguments.positional.front();
  if (shell == "bash") {
    print(bash_completion());
  } else if (shell == "zsh") {
    print(zsh_completion());
  } else {
    return fail(make_error(ErrorKind::kInvalid, "unknown shell '{}': choose bash or zsh{}", shell,
                           suggestion(shell, kShells)));
  }
  return ExitStatus::kDone;
}

}  // namespace

Command completion_command() {
  return {.name = "completion",
          .bit = kCompletionBit,
          .summary = "print what makes a shell complete ferry's command lines",
          .positional = "bash|zsh",
          .min_positional = 1,
          .max_positional = 1,
          .description =
              "Where ferry was not installed by a package:\n\n"
              "bash   source <(ferry completion bash)\n"
              "zsh    ferry completion zsh > ~/.zfunc/_ferry, with ~/.zfunc in fpath",
          .flags = {},
          .exits = {{ExitStatus::kDone},
                    {ExitStatus::kSomeFailed, kInputOutputFailed},
                    {ExitStatus::kUsage}},
          .run = &run_completion};
}

}  // namespace ferry::app

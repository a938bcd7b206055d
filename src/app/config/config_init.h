// `ferry config init`: the first configuration file.
#pragma once

#include "app/commands/command.h"

namespace ferry::app {

/// Asks for what the command line does not say, tries it out, and writes the file. Never replaces
/// one.
Outcome<ExitStatus> init_configuration(const Invocation& invocation);

}  // namespace ferry::app

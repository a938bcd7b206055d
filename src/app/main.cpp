#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "app/command.h"

int main(int argc, char** argv) {
  try {
    return ferry::app::run(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ferry: %s\n", error.what());
    return static_cast<int>(ferry::app::ExitStatus::kSomeFailed);
  }
}

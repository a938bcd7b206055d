// Writes one page of the manual to standard output. The build runs it: ferry_manual PAGE.

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>

#include "app/manual/pages.h"

namespace {

/// Today, or the day of SOURCE_DATE_EPOCH
/// (https://reproducible-builds.org/specs/source-date-epoch).
std::string date() {
  const char* epoch = std::getenv("SOURCE_DATE_EPOCH");
  const std::time_t time = epoch != nullptr ? std::strtoll(epoch, nullptr, 10) : std::time(nullptr);
  return fmt::format("{:%B %e, %Y}", fmt::gmtime(time));
}

std::string page(std::string_view name) {
  using namespace ferry::app::manual;
  if (name == "ferry.1") return command_page(date());
  if (name == "ferry.toml.5") return configuration_page(date());
  if (name == "configuration.md") return configuration_markdown();
  return "";
}

}  // namespace

int main(int argc, char** argv) {
  const std::string text = argc == 2 ? page(argv[1]) : "";
  if (text.empty()) {
    std::fputs("usage: ferry_manual ferry.1 | ferry.toml.5 | configuration.md\n", stderr);
    return 2;
  }
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() ? 0 : 1;
}

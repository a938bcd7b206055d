#include "app/output.h"

#include <cstdio>
#include "ferry/base/json.h"

namespace ferry::app {

void print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void print_json(const Json& json) {
  print(to_text(json) + "\n");
}

bool flush_output() {
  return std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
}

}  // namespace ferry::app

// Results on standard output.
#pragma once

#include <string>
#include <string_view>
#include "ferry/base/json.h"

namespace ferry::app {

void print(std::string_view text);

/// One line. Bytes that are no UTF-8 become U+FFFD.
void print_json(const Json& json);

/// False if something that was printed could not be written.
bool flush_output();

}  // namespace ferry::app

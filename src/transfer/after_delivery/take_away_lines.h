// What is to be taken away, as lines of JSON for an intent log. Pure.
//
//   {"file":{…its row…},"archive":"/srv/archive","private_name":".….delivered"}
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "transfer/after_delivery/take_away.h"

namespace ferry::transfer {

/// Without the '\n' of the last line.
std::string to_lines(std::span<const TakeAway> files);

/// Lines that cannot be read, such as one that a crash tore, are left out: nothing was done of
/// them.
std::vector<TakeAway> parse_take_aways(std::string_view text);

}  // namespace ferry::transfer

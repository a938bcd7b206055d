// What is wrong with settings that are right one by one. Pure, but for asking iconv(3) for names.
#pragma once

#include <string>
#include <vector>

#include "app/config/options.h"
#include "app/config/settings.h"

namespace ferry::app {

/// Named after the table, and the key in it, where a person would fix it.
struct Contradiction {
  Section section;
  std::string name;
  std::string key;  // may not be in the file; then the table as a whole
  std::string message;
};

std::vector<Contradiction> find_contradictions(const Settings& settings);

}  // namespace ferry::app
